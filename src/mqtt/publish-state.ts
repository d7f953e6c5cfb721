import type { GroupNumber } from '../core/brand.ts'
import type { MqttInflightView } from '../state/mqtt-inflight.ts'
import type { Retained, RetainedLimits, RetainedView } from '../state/retained.ts'
import type { StateLog } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'

/** Retained publishes and QoS 2 packet ids: state in the log that publishes change. */
export class PublishState {
  readonly retained: RetainedView
  readonly #inflight: MqttInflightView
  readonly #log: StateLog
  readonly #limits: RetainedLimits & { readonly inflightPerClient: number }
  /** PUBLISH packets whose id was stored with them just now, so that they are not taken for repeats of themselves. */
  readonly #fresh = new WeakSet<object>()
  /** Group of the newest change made with a publish; undefined: there was none since the start. */
  newestGroup: GroupNumber | undefined

  constructor(
    log: StateLog,
    retained: RetainedView,
    inflight: MqttInflightView,
    limits: RetainedLimits & { readonly inflightPerClient: number },
  ) {
    this.#log = log
    this.retained = retained
    this.#inflight = inflight
    this.#limits = limits
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

  hold(clientId: string, packetId: number): StateChange {
    return this.#inflight.hold(clientId, packetId)
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

  /** At the end of a session. */
  releaseAll(clientId: string): void {
    const changes = this.#inflight.releaseAll(clientId)
    if (changes.length > 0) this.#tryWrite(changes)
  }

  /** What a session that starts waits for: the releases of the one before it. */
  inflightDurable(): Promise<void> {
    return this.#log.durable(this.#inflight)
  }

  // retained

  /** The change that a publish with the retain flag makes: an empty payload removes. Undefined: nothing changes, or there is no room. */
  retain(topic: string, retained: Retained): StateChange | undefined {
    if (retained.payload.length > 0) return this.retained.put(topic, retained, this.#limits)
    return this.retained.has(topic) ? this.retained.remove(topic) : undefined
  }

  removeRetained(topic: string): void {
    if (this.retained.has(topic)) this.#tryWrite([this.retained.remove(topic)])
  }

  retainedDurable(): Promise<void> {
    return this.#log.durable(this.retained)
  }

  /** The group of state changes with the record that goes with them. */
  write(changes: readonly StateChange[], batches: Parameters<StateLog['write']>[1]): GroupNumber {
    this.newestGroup = this.#log.write(changes, batches)
    return this.newestGroup
  }

  /** Housekeeping that nobody waits for: where the log cannot be written, publishes and connections tell it. */
  #tryWrite(changes: readonly StateChange[]): void {
    try {
      this.#log.write(changes)
    } catch {
      // nothing was applied: the state stays as it is in the log
    }
  }
}
