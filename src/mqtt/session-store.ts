import { Readable } from 'node:stream'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { FilterTree, filterMatches } from '../wire/mqtt/topic-filter.ts'
import type { PublishState } from './publish-state.ts'
import { type OutgoingPacket, QueueMemory, SessionQueue } from './session-queue.ts'

export interface SessionLimits {
  readonly sessions: number
  readonly queueBytes: number
  /** `Infinity`: sessions do not end by themselves. */
  readonly expiryMs: number
}

/** A subscription as the engine stores it. */
export interface StoredSubscription {
  readonly topic: string
  readonly qos: number
  readonly rh?: number
  readonly rap?: boolean
  readonly nl?: boolean
  readonly subscriptionIdentifier?: number
}

interface Session {
  readonly subscriptions: Map<string, StoredSubscription & { readonly clientId: string }>
  readonly queue: SessionQueue
  seenMs: number
}

type ClientId = { readonly id: string }
type Will = { brokerId?: string; clientId?: string }

/** Restored in place of subscriptions when a session holds only QoS 2 state, so that CONNACK says "session present". [MQTT-3.2.2-2] */
const sessionMark = '$brooklet/session'

/**
 * What the session engine (aedes) keeps, in the shape that it asks for: sessions in memory and bounded, retained publishes and QoS 2 packet ids
 * in the log (`PublishState`), wills of connected clients. Every method is `async` because the engine wants promises.
 */
export class SessionStore {
  readonly #state: PublishState
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #limits: SessionLimits
  readonly #memory: QueueMemory
  readonly #isConnected: (clientId: string) => boolean
  /** Least recently used first. */
  readonly #sessions = new Map<string, Session>()
  readonly #wills = new Map<string, Will>()
  /** Subscriptions of QoS 1 and 2, of absent clients too. */
  readonly #tree = new FilterTree<StoredSubscription & { readonly clientId: string }>()

  constructor(parts: {
    state: PublishState
    clock: Clock
    metrics: Metrics
    limits: SessionLimits
    memory: MemoryBudget
    isConnected: (clientId: string) => boolean
  }) {
    this.#state = parts.state
    this.#clock = parts.clock
    this.#metrics = parts.metrics
    this.#limits = parts.limits
    this.#memory = new QueueMemory(parts.memory)
    this.#isConnected = parts.isConnected
  }

  /** Rises with every stored subscription made or ended. */
  get generation(): number {
    return this.#tree.generation
  }

  /** Somebody with a session, present or not, gets what is published to the topic. */
  has(topic: string): boolean {
    return this.#tree.hasMatch(topic)
  }

  get size(): number {
    return this.#sessions.size
  }

  async setup(): Promise<void> {}

  // subscriptions

  async addSubscriptions(client: ClientId, subscriptions: readonly StoredSubscription[]): Promise<void> {
    const session = this.#sessionOf(client.id)
    for (const subscription of subscriptions) {
      const { topic, qos } = subscription
      if (topic === sessionMark) continue
      this.#drop(session, topic)
      const stored = { ...subscription, clientId: client.id }
      session.subscriptions.set(topic, stored)
      if (qos > 0) this.#tree.add(topic, stored)
    }
  }

  async removeSubscriptions(client: ClientId, topics: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id)
    if (session !== undefined) for (const topic of topics) this.#drop(session, topic)
  }

  async subscriptionsByClient(client: ClientId): Promise<StoredSubscription[]> {
    this.#expire()
    const session = this.#sessions.get(client.id)
    const found = [...(session?.subscriptions.values() ?? [])].map(({ clientId: _, ...subscription }) => subscription)
    if (found.length === 0 && this.#state.holdsPacketIds(client.id)) return [{ topic: sessionMark, qos: 0 }]
    return found
  }

  /** Each client once, with its highest QoS: overlapping subscriptions make one copy. */
  async subscriptionsByTopic(topic: string): Promise<StoredSubscription[]> {
    const byClient = new Map<string, StoredSubscription & { readonly clientId: string }>()
    for (const subscription of this.#tree.match(topic)) {
      const other = byClient.get(subscription.clientId)
      if (other === undefined || other.qos < subscription.qos) byClient.set(subscription.clientId, subscription)
    }
    return [...byClient.values()]
  }

  /** The end of a session: also called by the engine at each clean start. */
  async cleanSubscriptions(client: ClientId): Promise<void> {
    this.#end(client.id)
  }

  // packets to clients

  async outgoingEnqueue(subscription: { readonly clientId: string }, packet: OutgoingPacket): Promise<void> {
    this.#enqueue(subscription.clientId, packet)
  }

  async outgoingEnqueueCombi(
    subscriptions: readonly { readonly clientId: string }[],
    packet: OutgoingPacket,
  ): Promise<void> {
    for (const { clientId } of subscriptions) this.#enqueue(clientId, packet)
  }

  async outgoingUpdate(client: ClientId, packet: OutgoingPacket): Promise<void> {
    // a packet that found no room in the queue is sent all the same, but not again after a reconnect
    this.#sessions.get(client.id)?.queue.update(packet)
  }

  async outgoingClearMessageId(client: ClientId, packet: OutgoingPacket): Promise<OutgoingPacket | undefined> {
    return this.#sessions.get(client.id)?.queue.clear(packet.messageId)
  }

  outgoingStream(client: ClientId): Readable {
    return Readable.from(this.#sessions.get(client.id)?.queue.packets() ?? [])
  }

  // QoS 2 from clients

  async incomingGetPacket(client: ClientId, packet: { readonly messageId: number }): Promise<unknown> {
    if (this.#state.isRepeat(client.id, packet)) return packet
    throw new Error('no such packet')
  }

  /** The packet id was stored with the record. */
  async incomingStorePacket(): Promise<void> {}

  async incomingDelPacket(client: ClientId, packet: { readonly messageId: number }): Promise<void> {
    await this.#state.release(client.id, packet.messageId)
  }

  // retained publishes

  /** The publish gate has stored it with the record; here come only removals by the engine itself, of what has expired. */
  async storeRetained(packet: { readonly topic: string; readonly payload: Buffer | string }): Promise<void> {
    if (packet.payload.length === 0) this.#state.removeRetained(packet.topic)
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retained(filters))
  }

  /** Only what is on the device is shown. */
  async *#retained(filters: readonly string[]): AsyncGenerator<object> {
    if (this.#state.retained.size === 0) return
    await this.#state.retainedDurable()
    for (const filter of filters) {
      for (const [topic, { payload, qos, properties, expiresMs }] of this.#state.retained.all()) {
        if (!filterMatches(filter, topic)) continue
        const expiry = expiresMs === undefined ? {} : { messageExpiry: expiresMs }
        yield { cmd: 'publish', topic, payload, qos, retain: true, ...(properties && { properties }), ...expiry }
      }
    }
  }

  // wills

  async putWill(client: ClientId, will: Will): Promise<void> {
    will.clientId = client.id
    this.#wills.set(client.id, will)
  }

  async delWill(client: ClientId): Promise<Will | undefined> {
    const will = this.#wills.get(client.id)
    this.#wills.delete(client.id)
    return will
  }

  /** Wills of other brokers of a cluster: there are none. */
  streamWill(): Readable {
    return Readable.from([])
  }

  #enqueue(clientId: string, packet: OutgoingPacket): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return
    if (!session.queue.add({ ...packet })) this.#metrics.add('mqttDropped', 1, 'session queue full')
  }

  #sessionOf(clientId: string): Session {
    const session = this.#sessions.get(clientId)
    const seenMs = this.#clock.monotonicMs()
    if (session !== undefined) {
      session.seenMs = seenMs
      this.#sessions.delete(clientId)
      this.#sessions.set(clientId, session)
      return session
    }
    this.#expire()
    this.#makeRoom()
    const made = { subscriptions: new Map(), queue: new SessionQueue(this.#limits.queueBytes, this.#memory), seenMs }
    this.#sessions.set(clientId, made)
    return made
  }

  #makeRoom(): void {
    if (this.#sessions.size < this.#limits.sessions) return
    for (const clientId of this.#sessions.keys()) {
      if (this.#isConnected(clientId)) continue
      this.#end(clientId)
      this.#metrics.add('mqttDropped', 1, 'session evicted')
      return
    }
  }

  #expire(): void {
    const oldestMs = this.#clock.monotonicMs() - this.#limits.expiryMs
    for (const [clientId, session] of this.#sessions) {
      if (session.seenMs > oldestMs) return
      if (this.#isConnected(clientId)) this.#sessionOf(clientId)
      else this.#end(clientId)
    }
  }

  #end(clientId: string): void {
    const session = this.#sessions.get(clientId)
    if (session !== undefined) for (const topic of [...session.subscriptions.keys()]) this.#drop(session, topic)
    session?.queue.drop()
    this.#sessions.delete(clientId)
    this.#state.releaseAll(clientId)
  }

  #drop(session: Session, topic: string): void {
    const subscription = session.subscriptions.get(topic)
    if (subscription === undefined) return
    session.subscriptions.delete(topic)
    if (subscription.qos > 0) this.#tree.delete(topic, subscription)
  }
}
