import type { GroupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { MqttInflightView } from '../state/mqtt-inflight.ts'
import type { Retained, RetainedLimits, RetainedView } from '../state/retained.ts'
import type { StateLog } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'

export interface PublishStateLimits extends RetainedLimits {
  /** QoS 2 packet ids that a client may hold. */
  readonly inflightPerClient: number
  /** Clients that may hold packet ids; of absent ones, those that began first are forgotten. */
  readonly inflightClients: number
  readonly isConnected: (clientId: string) => boolean
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
  /** PUBLISH packets whose id was stored with them just now, so that they are not taken for repeats of themselves. */
  readonly #fresh = new WeakSet<object>()
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

  holdsPacketIds(clientId: string): boolean {
    return this.#inflight.count(clientId) > 0
  }

  /** False: the client must release packet ids first. */
  hasRoom(clientId: string): boolean {
    return this.#inflight.count(clientId) < this.#limits.inflightPerClient
  }

  /** The changes that hold the packet id; with it, an absent client may lose its ids (`evicted`) to keep their number bounded. */
  hold(clientId: string, packetId: number): { readonly changes: StateChange[]; readonly evicted: boolean } {
    const change = this.#inflight.hold(clientId, packetId)
    if (this.#inflight.count(clientId) > 0 || this.#inflight.clientCount < this.#limits.inflightClients)
      return { changes: [change], evicted: false }
    for (const other of this.#inflight.clients) {
      if (this.#limits.isConnected(other)) continue
      return { changes: [...this.#inflight.releaseAll(other), change], evicted: true }
    }
    return { changes: [change], evicted: false }
  }

  markFresh(packet: object): void {
    this.#fresh.add(packet)
  }

  /** Is the id of this PUBLISH or PUBREL held, not counting what this very packet has stored? */
  isRepeat(clientId: string, packet: { readonly messageId: number }): boolean {
    return !this.#fresh.has(packet) && this.holds(clientId, packet.messageId)
  }

  /** Resolves when the release is durable: before that, the client's next use of the id could be taken for a repeat. */
  async release(clientId: string, packetId: number): Promise<void> {
    if (!this.holds(clientId, packetId)) return
    await this.#log.whenDurable(this.#log.write([this.#inflight.release(clientId, packetId)]))
  }

  /** At the end of a session. What cannot be written now is in `released`. */
  releaseAll(clientId: string): void {
    const changes = this.#inflight.releaseAll(clientId)
    if (changes.length === 0) this.#unreleased.delete(clientId)
    else if (this.#tryWrite(changes)) this.#unreleased.delete(clientId)
    else this.#unreleased.add(clientId)
  }

  /**
   * Resolves when no packet id of an ended session is left for the client: its next session waits for that, else a publish with
   * such an id would be acknowledged as a repeat and lost. Throws `storageFailed`.
   */
  async released(clientId: string): Promise<void> {
    while (this.#unreleased.has(clientId)) {
      this.releaseAll(clientId)
      if (this.#unreleased.has(clientId)) await sleep(this.#clock, retryAfterMs)
    }
  }

  // retained

  /** What a publish with the retain flag changes: an empty payload removes. Without room, what was retained before goes: it is out of date. */
  retain(topic: string, retained: Retained): { readonly change: StateChange | undefined; readonly isFull: boolean } {
    const isRemoval = retained.payload.length === 0
    const put = isRemoval ? undefined : this.retained.put(topic, retained, this.#limits)
    if (put !== undefined) return { change: put, isFull: false }
    const change = this.retained.has(topic) ? this.retained.remove(topic) : undefined
    return { change, isFull: !isRemoval }
  }

  removeRetained(topic: string): void {
    try {
      if (this.retained.has(topic)) this.#log.write([this.retained.remove(topic)])
    } catch (error) {
      // it has expired and is not shown; the next subscriber tries again
      if (!(error instanceof BrokerError)) throw error
    }
  }

  retainedDurable(): Promise<void> {
    return this.#log.durable(this.retained)
  }

  /** The group of state changes with the record that goes with them. */
  write(changes: readonly StateChange[], batches: Parameters<StateLog['write']>[1]): GroupNumber {
    this.newestGroup = this.#log.write(changes, batches)
    return this.newestGroup
  }

  /** False: the log has no room now. Where it has failed for good, publishes and connections tell it. */
  #tryWrite(changes: readonly StateChange[]): boolean {
    try {
      this.#log.write(changes)
      return true
    } catch (error) {
      if (error instanceof BrokerError && (error.kind === 'memoryFull' || error.kind === 'storageFull')) return false
      throw error
    }
  }
}
