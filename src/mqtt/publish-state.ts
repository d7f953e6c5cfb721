import type { GroupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { MqttInflightView } from '../state/mqtt-inflight.ts'
import type { Retained, RetainedLimits, RetainedView } from '../state/retained.ts'
import type { StateLog } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'
import type { RecordAppend } from '../storage/log.ts'

export interface PublishStateLimits extends RetainedLimits {
  /** QoS 2 packet ids that a client may hold. */
  readonly inflightPerClient: number
}

/** What becomes of a publish with the retain flag. */
export interface Retention {
  readonly change: StateChange | undefined
  /** There is no room for it. */
  readonly isFull: boolean
}

const retryAfterMs = 50

/** Retained publishes and QoS 2 packet ids: state in the log that publishes change. */
export class PublishState {
  readonly retained: RetainedView
  readonly #inflight: MqttInflightView
  readonly #log: StateLog
  readonly #limits: PublishStateLimits
  readonly #clock: Clock
  /** Their sessions have ended, and the log could not take the releases yet. */
  readonly #unreleased = new Set<string>()
  /** Group of the newest change made with a publish; undefined: there was none since the start. */
  newestGroup: GroupNumber | undefined

  constructor(parts: {
    log: StateLog
    retained: RetainedView
    inflight: MqttInflightView
    limits: PublishStateLimits
    clock: Clock
  }) {
    this.#log = parts.log
    this.retained = parts.retained
    this.#inflight = parts.inflight
    this.#limits = parts.limits
    this.#clock = parts.clock
  }

  /** Seconds of log age now. */
  get logAge(): number {
    return this.#log.logAge
  }

  // QoS 2

  holds(clientId: string, packetId: number): boolean {
    return this.#inflight.has(clientId, packetId)
  }

  /** Packet ids that the client has not released. */
  heldCount(clientId: string): number {
    return this.#inflight.count(clientId)
  }

  /** False: the client must release packet ids first. */
  hasRoom(clientId: string): boolean {
    return this.#inflight.count(clientId) < this.#limits.inflightPerClient
  }

  /** Clients that hold packet ids; the one that began first comes first. */
  clientsWithPacketIds(): string[] {
    return [...this.#inflight.clients]
  }

  hold(clientId: string, packetId: number): StateChange {
    return this.#inflight.hold(clientId, packetId)
  }

  /**
   * The group of the release: before it is durable PUBCOMP must not leave, or the client's next use of the id could be taken for a repeat.
   * Undefined: the id was not held. Throws `BrokerError`.
   */
  release(clientId: string, packetId: number): GroupNumber | undefined {
    return this.holds(clientId, packetId) ? this.#log.write([this.#inflight.release(clientId, packetId)]) : undefined
  }

  /** At the end of a session. What cannot be written now is in `released`. */
  releaseAll(clientId: string): void {
    const changes = this.#inflight.releaseAll(clientId)
    if (changes.length === 0) this.#unreleased.delete(clientId)
    else if (this.#tryWrite(changes)) this.#unreleased.delete(clientId)
    else this.#unreleased.add(clientId)
  }

  /** Is no packet id of an ended session left for the client? */
  isReleased(clientId: string): boolean {
    return !this.#unreleased.has(clientId)
  }

  /** Resolves then: the client's next session waits for that, else a publish with such an id would be acknowledged as a repeat and lost. */
  async released(clientId: string): Promise<void> {
    while (!this.isReleased(clientId)) {
      this.releaseAll(clientId)
      if (!this.isReleased(clientId)) await sleep(this.#clock, retryAfterMs)
    }
  }

  // retained

  /** What a publish with the retain flag changes: an empty payload removes. Without room, what was retained before goes: it is out of date. */
  retain(topic: string, retained: Retained): Retention {
    const isRemoval = retained.payload.length === 0
    const put = isRemoval ? undefined : this.retained.put(topic, retained, this.#limits)
    if (put !== undefined) return { change: put, isFull: false }
    const change = this.retained.has(topic) ? this.retained.remove(topic) : undefined
    return { change, isFull: !isRemoval }
  }

  retainedDurable(): Promise<void> {
    return this.#log.durable(this.retained)
  }

  /** The group of state changes with the record that goes with them. */
  write(changes: readonly StateChange[], records: readonly RecordAppend[]): GroupNumber {
    this.newestGroup = this.#log.write(changes, records)
    return this.newestGroup
  }

  /** False: the log has no room now. Where it has failed for good nothing can be written, which publishes and connections tell. */
  #tryWrite(changes: readonly StateChange[]): boolean {
    try {
      this.#log.write(changes)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return error.kind !== 'memoryFull' && error.kind !== 'storageFull'
    }
  }
}
