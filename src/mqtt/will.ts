import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadlines } from './deadlines.ts'
import type { Distribution } from './distribution.ts'
import type { MemoryShare } from './memory-share.ts'
import { Publication } from './publication.ts'
import type { PublishStore } from './publish-store.ts'
import type { Session } from './session.ts'

/** What is published when a client is lost (section 3.1.2.5). */
export interface Will {
  readonly clientId: string
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Forwarded properties as a section. */
  readonly properties: Buffer
  readonly delayMs: number
}

export interface WillsParts {
  readonly store: PublishStore
  readonly distribution: Distribution
  readonly memory: MemoryShare
  readonly clock: Clock
  readonly metrics: Metrics
}

const retryAfterMs = 10

/** The wills of all clients: held while they are connected, published when they are lost, after their delay. */
export class Wills {
  readonly #parts: WillsParts
  readonly #delayed = new Map<Session, Will>()
  readonly #deadlines: Deadlines<Session>
  /** Those that the log has no room for just now. */
  readonly #stalled: Will[] = []

  constructor(parts: WillsParts) {
    this.#parts = parts
    this.#deadlines = new Deadlines(parts.clock, session => this.ended(session))
  }

  /** False: there is no memory for it. */
  hold(will: Will): boolean {
    const bytes = bytesOf(will)
    if (!this.#parts.memory.hasRoom(bytes)) return false
    this.#parts.memory.hold(bytes)
    return true
  }

  /** The client said goodbye, or the will is out of date otherwise. */
  forget(will: Will): void {
    this.#parts.memory.hold(-bytesOf(will))
  }

  /** The client was lost: now, or after the delay unless it comes back or its session ends before. [MQTT-3.1.2-8] */
  lost(session: Session, will: Will): void {
    const delayMs = Math.min(will.delayMs, session.expiryMs)
    if (delayMs === 0) {
      this.#publish(will)
      return
    }
    this.#delayed.set(session, will)
    this.#deadlines.set(session, delayMs)
  }

  /** The client is back in time. [MQTT-3.1.3-9] */
  returned(session: Session): void {
    const will = this.#take(session)
    if (will !== undefined) this.forget(will)
  }

  /** The session has ended, or the delay is over. */
  ended(session: Session): void {
    const will = this.#take(session)
    if (will !== undefined) this.#publish(will)
  }

  stop(): void {
    this.#deadlines.stop()
  }

  #take(session: Session): Will | undefined {
    const will = this.#delayed.get(session)
    this.#delayed.delete(session)
    this.#deadlines.clear(session)
    return will
  }

  #publish(will: Will): void {
    this.forget(will)
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

  /** False: not now. What the log refuses is counted and not published. */
  #store(will: Will): boolean {
    const { store, distribution, clock, metrics } = this.#parts
    try {
      // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
      const { group, partition, offset } = store.store({ ...will, packetId: 0 })
      const publication = new Publication({ ...will, publisher: will.clientId, receivedMs: clock.monotonicMs() })
      if (partition !== undefined) publication.placed(partition, offset)
      distribution.publish(publication, group)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.waits) return false
      metrics.add('mqttRefused', 1, error.kind)
    }
    return true
  }
}

const bytesOf = ({ topic, payload, properties }: Will): number => topic.length + payload.length + properties.length
