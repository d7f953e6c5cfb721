import type { PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Client } from './client.ts'
import { Deadlines } from './deadlines.ts'
import type { Outgoing } from './exchange.ts'
import type { MemoryShare } from './memory-share.ts'
import type { OutboundLog } from './outbound-log.ts'
import type { PublishState } from './publish-state.ts'
import { Session, type SessionParts } from './session.ts'
import { offsetsOf, type SessionLog } from './session-log.ts'
import type { ShareLog } from './share-log.ts'
import type { SharedSubscription } from './shared-subscription.ts'
import type { Subscription } from './subscription.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface SessionsParts {
  readonly state: PublishState
  readonly log: SessionLog
  readonly shareLog: ShareLog
  readonly outboundLog: OutboundLog
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
  readonly #sessionParts: SessionParts
  readonly #byClient = new Map<string, Session>()
  /** The one that has been away longest comes first. */
  readonly #absent = new Set<Session>()
  readonly #expiries: Deadlines<Session>

  constructor(parts: SessionsParts) {
    this.#parts = parts
    const { queueBytes, queueMemory, metrics, outboundLog } = parts
    this.#sessionParts = {
      limitBytes: queueBytes,
      memory: queueMemory,
      metrics,
      changed: session => outboundLog.changed(session),
    }
    // [MQTT-4.1.0-2]
    this.#expiries = new Deadlines(parts.clock, session => {
      parts.metrics.add('mqttSessionsExpired')
      this.end(session)
    })
  }

  /** Sessions that the log keeps; their time begins anew. Others have ended with their connections, when the broker did. */
  restore(): void {
    const { state, log, shareLog } = this.#parts
    const clients = log.clients()
    for (const clientId of clients) this.#restore(clientId)
    // their members are all there
    shareLog.restore()
    for (const clientId of clients) this.#restoreExchanges(clientId)
    shareLog.retry()
    for (const clientId of state.clientsWithPacketIds()) if (!this.#byClient.has(clientId)) state.releaseAll(clientId)
  }

  #restore(clientId: string): void {
    const { log } = this.#parts
    const stored = log.stored(clientId)
    if (stored === undefined) return
    const session = this.#make(clientId)
    session.expiryMs = stored.expiryMs ?? Number.POSITIVE_INFINITY
    for (const subscription of stored.subscriptions)
      this.subscribe(session, { ...subscription, session, from: offsetsOf(subscription.from) })
    for (const [partition, offset] of log.positions(clientId)) {
      session.backlog.expect(partition)
      session.backlog.miss(partition, offset)
    }
  }

  /** What the client was sent goes on with it, or is over, if its session is. */
  #restoreExchanges(clientId: string): void {
    const { log, shareLog, subscriptions } = this.#parts
    const session = this.#byClient.get(clientId)
    const windows = log.windows(clientId)
    if (session === undefined) {
      shareLog.abandoned(windows.map(([, window]) => window))
      log.remove(clientId)
      return
    }
    const positions = new Map(log.positions(clientId))
    const shareOf = (filter: string): SharedSubscription | undefined => subscriptions.share(filter)
    session.flow.restore(session.windows.restore(windows, { positions, shareOf }))
    this.#keepAbsent(session)
  }

  /** The clients that are connected. */
  *clients(): Iterable<Client> {
    for (const { client } of this.#byClient.values()) if (client !== undefined) yield client
  }

  get connectedCount(): number {
    return this.#byClient.size - this.#absent.size
  }

  /** Sessions of clients that are away. */
  get absentCount(): number {
    return this.#absent.size
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

  /** Adds a subscription, in the place of the one with the same filter if there is one; true: there was none. */
  subscribe(session: Session, subscription: Subscription): boolean {
    const { subscriptions } = this.#parts
    const before = session.subscriptions.get(subscription.filter)
    session.subscriptions.set(subscription.filter, subscription)
    subscriptions.add(subscription)
    // afterwards: a share of which it is the only member goes on
    if (before !== undefined) subscriptions.remove(before)
    return before === undefined
  }

  /** False: there is no such subscription. */
  unsubscribe(session: Session, filter: string): boolean {
    const subscription = session.subscriptions.get(filter)
    if (subscription === undefined) return false
    session.subscriptions.delete(filter)
    this.#parts.subscriptions.remove(subscription)
    return true
  }

  /** How long the session stays after the connection, ms. */
  setExpiry(session: Session, expiryMs: number): void {
    session.expiryMs = expiryMs
    for (const share of this.#parts.subscriptions.sharesOf(session)) share.refresh()
  }

  /** The client takes what comes: its shares have one more to give their backlog to. */
  joined(session: Session): void {
    for (const share of this.#parts.subscriptions.sharesOf(session)) share.catchUp()
  }

  /** Positions follow what clients have acknowledged; what could not be written is tried again. */
  advance(): void {
    const { log, shareLog, subscriptions } = this.#parts
    log.retry(clientId => this.#byClient.get(clientId))
    // before sessions: what they say is done leaves packet id windows
    for (const share of subscriptions.shares) shareLog.advance(share)
    for (const session of this.#byClient.values())
      if (session.backlog.expected.size > 0 || !session.windows.isEmpty) log.advance(session)
  }

  /** A topic was deleted. */
  forget(partitions: readonly PartitionId[]): void {
    const { shareLog, subscriptions } = this.#parts
    for (const share of subscriptions.shares) shareLog.forget(share, partitions)
    for (const session of this.#byClient.values())
      if (session.backlog.expected.size > 0) this.#parts.log.forget(session, partitions)
  }

  /** The connection is gone. */
  left(session: Session): void {
    session.client = undefined
    const { shared, missed } = session.flow.disconnect()
    for (const { partition, offset } of missed) if (partition !== undefined) session.backlog.miss(partition, offset)
    if (session.expiryMs === 0) this.end(session)
    else {
      this.#parts.log.save(session)
      this.#keepAbsent(session)
    }
    redeliver(shared)
  }

  /** Nothing of it stays. */
  end(session: Session): void {
    const { subscriptions, state, log, shareLog, ended } = this.#parts
    this.#byClient.delete(session.clientId)
    this.#absent.delete(session)
    this.#expiries.clear(session)
    for (const subscription of session.subscriptions.values()) subscriptions.remove(subscription)
    session.subscriptions.clear()
    // what it was sent is done with for its shares: they say so before its windows go
    for (const share of session.windows.shares) shareLog.changed(share)
    const shared = session.flow.end()
    state.releaseAll(session.clientId)
    log.remove(session.clientId)
    ended(session)
    redeliver(shared)
  }

  stop(): void {
    this.#expiries.stop()
  }

  #make(clientId: string): Session {
    const session = new Session(clientId, this.#sessionParts)
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
  for (const { shared, publication } of outgoing) shared?.givenBack(publication)
}
