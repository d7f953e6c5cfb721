import type { GroupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MqttWillsView, StoredWill } from '../state/mqtt-wills.ts'
import type { StateLog } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'
import { Deadlines } from './deadlines.ts'
import type { Distribution } from './distribution.ts'
import type { MemoryShare } from './memory-share.ts'
import { Publication } from './publication.ts'
import type { PublishStore } from './publish-store.ts'
import type { Session } from './session.ts'

/** What is published when a client is lost (section 3.1.2.5). */
export interface Will extends Omit<StoredWill, 'dueLogAge'> {
  readonly clientId: string
}

export interface WillsParts {
  readonly log: StateLog
  readonly view: MqttWillsView
  readonly store: PublishStore
  readonly distribution: Distribution
  readonly memory: MemoryShare
  readonly clock: Clock
  readonly metrics: Metrics
}

interface Held {
  readonly will: Will
  /** As in `StoredWill`. */
  dueLogAge: number | null
}

const retryAfterMs = 10

/**
 * The wills of all clients: held while they are connected, published when they are lost, after their delay. They stand in the log until they are
 * published or out of date, so that clients that the broker lost with its own end have theirs published too.
 */
export class Wills {
  readonly #parts: WillsParts
  /** By client id, the newest last: that one the log has. There are several only while a CONNECT is not answered. */
  readonly #held = new Map<string, Held[]>()
  /** By client id. */
  readonly #delayed = new Map<string, Will>()
  readonly #deadlines: Deadlines<string>
  /** Those that the log has no room for just now. */
  readonly #stalled: Will[] = []

  constructor(parts: WillsParts) {
    this.#parts = parts
    this.#deadlines = new Deadlines(parts.clock, clientId => this.ended(clientId))
  }

  /**
   * Wills from before the start. Who was connected then is lost by now, but nobody would have heard of that before one and a half keep alive
   * intervals: so long clients have to come back. `find` gives a session that outlived the broker.
   */
  restore(find: (clientId: string) => Session | undefined): void {
    const { view, log, memory } = this.#parts
    for (const [clientId, { dueLogAge, ...stored }] of view.wills()) {
      const will = { clientId, ...stored }
      memory.hold(bytesOf(will))
      this.#held.set(clientId, [{ will, dueLogAge }])
      this.#delayed.set(clientId, will)
      const delayMs = Math.min(will.delayMs, find(clientId)?.expiryMs ?? 0)
      const waitMs = dueLogAge === null ? will.silenceMs + delayMs : (dueLogAge - log.logAge) * 1000
      this.#deadlines.set(clientId, Math.max(0, waitMs))
    }
  }

  /** Resolves when the will is on the device; false: there is no room for it. */
  async hold(will: Will): Promise<boolean> {
    const { memory, log } = this.#parts
    const bytes = bytesOf(will)
    if (!memory.hasRoom(bytes)) return false
    memory.hold(bytes)
    try {
      const group = this.#keep(will, null)
      if (group !== undefined) await log.whenDurable(group)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      // a device that has failed takes no publish either, but clients may read what is there
      if (!log.writable) return true
      memory.hold(-bytes)
      return false
    }
    return true
  }

  /** The client said goodbye, or the will is out of date otherwise. */
  forget(will: Will): void {
    this.#parts.memory.hold(-bytesOf(will))
    this.#remove(will)
  }

  /** The client was lost: now, or after the delay unless it comes back or its session ends before. [MQTT-3.1.2-8] */
  lost({ clientId, expiryMs }: Session, will: Will): void {
    const delayMs = Math.min(will.delayMs, expiryMs)
    if (delayMs === 0) {
      this.#publish(will)
      return
    }
    this.#delayed.set(clientId, will)
    this.#deadlines.set(clientId, delayMs)
    const dueLogAge = this.#parts.log.logAge + delayMs / 1000
    if (this.#of(clientId).some(held => held.will === will)) this.#try(() => this.#keep(will, dueLogAge))
  }

  /** The client is back in time. [MQTT-3.1.3-9] */
  returned(clientId: string): void {
    const will = this.#take(clientId)
    if (will !== undefined) this.forget(will)
  }

  /** The session has ended, or the delay is over. */
  ended(clientId: string): void {
    const will = this.#take(clientId)
    if (will !== undefined) this.#publish(will)
  }

  stop(): void {
    this.#deadlines.stop()
  }

  #take(clientId: string): Will | undefined {
    const will = this.#delayed.get(clientId)
    this.#delayed.delete(clientId)
    this.#deadlines.clear(clientId)
    return will
  }

  #of(clientId: string): readonly Held[] {
    return this.#held.get(clientId) ?? []
  }

  /** Throws what `StateLog.write` throws. Undefined: the log has it as it is, or will have it when the newer one goes. */
  #keep(will: Will, dueLogAge: number | null): GroupNumber | undefined {
    const all = this.#of(will.clientId)
    const known = all.find(held => held.will === will)
    const kept = known ?? { will, dueLogAge }
    const isNewest = known === undefined || known === all.at(-1)
    const change = isNewest ? this.#change({ will, dueLogAge }) : undefined
    const group = change && this.#parts.log.write([change])
    kept.dueLogAge = dueLogAge
    if (known === undefined) this.#held.set(will.clientId, [...all, kept])
    return group
  }

  #change({ will: { clientId, ...stored }, dueLogAge }: Held): StateChange | undefined {
    return this.#parts.view.put(clientId, { ...stored, dueLogAge })
  }

  /** What takes the will out of the log, and puts the one from before in its place; nothing where there is a newer one. */
  #removal(will: Will): StateChange[] {
    const all = this.#of(will.clientId)
    if (all.at(-1)?.will !== will) return []
    const before = all.at(-2)
    const change = before === undefined ? this.#parts.view.remove(will.clientId) : this.#change(before)
    return change === undefined ? [] : [change]
  }

  #remove(will: Will): void {
    const changes = this.#removal(will)
    if (changes.length > 0) this.#try(() => this.#parts.log.write(changes))
    this.#removed(will)
  }

  #removed(will: Will): void {
    const left = this.#of(will.clientId).filter(held => held.will !== will)
    if (left.length > 0) this.#held.set(will.clientId, left)
    else this.#held.delete(will.clientId)
  }

  /** What cannot be written now stands there as it is: after a restart the will is published when nobody comes back. */
  #try(write: () => void): void {
    try {
      write()
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }

  #publish(will: Will): void {
    this.#parts.memory.hold(-bytesOf(will))
    if (this.#stalled.length > 0 || !this.#store(will)) this.#stall(will)
  }

  #stall(will: Will): void {
    this.#stalled.push(will)
    if (this.#stalled.length === 1) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  readonly #retry = (): void => {
    while (this.#stalled.length > 0 && this.#store(this.#stalled[0]!)) this.#stalled.shift()
    if (this.#stalled.length > 0) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  /** False: not now. What the log refuses is counted and not published. It leaves the log in the group of its record: it is published once. */
  #store(will: Will): boolean {
    const { store, distribution, clock, metrics } = this.#parts
    try {
      // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
      const { group, partition, offset } = store.store({ ...will, packetId: 0 }, this.#removal(will))
      this.#removed(will)
      const publication = new Publication({ ...will, publisher: will.clientId, receivedMs: clock.monotonicMs() })
      if (partition !== undefined) publication.placed(partition, offset)
      distribution.publish(publication, group)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.waits) return false
      metrics.add('mqttRefused', 1, error.kind)
      this.#remove(will)
    }
    return true
  }
}

const bytesOf = ({ topic, payload, properties }: Will): number => topic.length + payload.length + properties.length
