import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Client } from './client.ts'
import { Deadlines } from './deadlines.ts'
import type { MemoryShare } from './memory-share.ts'
import type { Outgoing } from './outbound-flow.ts'
import type { PublishState } from './publish-state.ts'
import { Session } from './session.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface SessionsParts {
  readonly state: PublishState
  readonly subscriptions: Subscriptions
  readonly clock: Clock
  readonly metrics: Metrics
  /** What waits for clients, all together. */
  readonly queueMemory: MemoryShare
  readonly queueBytes: number
  readonly maxAbsent: number
  /** `Infinity`: sessions do not end by themselves. */
  readonly maxExpiryMs: number
  readonly ended: (session: Session) => void
}

/** The sessions of all clients, present and absent (section 4.1). Those of absent clients are bounded in number and time. */
export class Sessions {
  readonly #parts: SessionsParts
  readonly #byClient = new Map<string, Session>()
  /** The one that has been away longest comes first. */
  readonly #absent = new Set<Session>()
  readonly #expiries: Deadlines<Session>

  constructor(parts: SessionsParts) {
    this.#parts = parts
    // [MQTT-4.1.0-2]
    this.#expiries = new Deadlines(parts.clock, session => this.end(session))
  }

  /** Sessions of which the log keeps state from before the start. */
  restore(): void {
    for (const clientId of this.#parts.state.clientsWithPacketIds()) {
      const session = this.#make(clientId)
      session.expiryMs = this.#parts.maxExpiryMs
      this.#keepAbsent(session)
    }
  }

  /** The clients that are connected. */
  *clients(): Iterable<Client> {
    for (const { client } of this.#byClient.values()) if (client !== undefined) yield client
  }

  get connectedCount(): number {
    return this.#byClient.size - this.#absent.size
  }

  find(clientId: string): Session | undefined {
    return this.#byClient.get(clientId)
  }

  /** The session that the client goes on with, or a new one. It is present from now on. [MQTT-4.1.0-1] */
  begin(clientId: string): Session {
    const session = this.#byClient.get(clientId) ?? this.#make(clientId)
    this.#absent.delete(session)
    this.#expiries.clear(session)
    return session
  }

  /** The connection is gone. */
  left(session: Session): void {
    session.client = undefined
    const shared = session.flow.disconnect()
    if (session.expiryMs === 0) this.end(session)
    else this.#keepAbsent(session)
    redeliver(shared)
  }

  /** Nothing of it stays. */
  end(session: Session): void {
    const { subscriptions, state, ended } = this.#parts
    this.#byClient.delete(session.clientId)
    this.#absent.delete(session)
    this.#expiries.clear(session)
    for (const subscription of session.subscriptions.values()) subscriptions.remove(subscription)
    session.subscriptions.clear()
    const shared = session.flow.end()
    state.releaseAll(session.clientId)
    ended(session)
    redeliver(shared)
  }

  stop(): void {
    this.#expiries.stop()
  }

  #make(clientId: string): Session {
    const { queueBytes, queueMemory, metrics } = this.#parts
    const session = new Session(clientId, { limitBytes: queueBytes, memory: queueMemory, metrics })
    this.#byClient.set(clientId, session)
    return session
  }

  // [MQTT-3.1.2-23]
  #keepAbsent(session: Session): void {
    this.#absent.add(session)
    this.#expiries.set(session, Math.min(session.expiryMs, this.#parts.maxExpiryMs))
    if (this.#absent.size <= this.#parts.maxAbsent) return
    const oldest = this.#absent.values().next().value!
    this.#parts.metrics.add('mqttDropped', 1, 'session evicted')
    this.end(oldest)
  }
}

/** To other members of their shared subscriptions. [MQTT-4.8.2-4] */
const redeliver = (outgoing: readonly Outgoing[]): void => {
  for (const { shared, publication } of outgoing) shared?.deliver(publication)
}
