import { Readable } from 'node:stream'
import { BrokerError } from '../core/errors.ts'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import { FilterTree } from '../wire/mqtt/topic-filter.ts'
import { MemoryShare } from './memory-share.ts'
import type { PublishState } from './publish-state.ts'
import { retainedPublishes } from './retained-reader.ts'
import { type OutgoingPacket, SessionQueue } from './session-queue.ts'
import { subscriptionBytes } from './subscriber-limits.ts'

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

/** The queues of all sessions together may hold this part of the memory budget. */
const queueShare = 8
const retryAfterMs = 50

/** Restored in place of subscriptions when a session holds only QoS 2 state, so that CONNACK says "session present". [MQTT-3.2.2-2] */
const sessionMark = '$brooklet/session'

/**
 * What the session engine (aedes) keeps, in the shape that it asks for: sessions in memory and bounded, retained publishes and QoS 2 packet ids
 * in the log (`PublishState`). Every method is `async` because the engine wants promises; it takes no care of their rejection, which would end
 * the process: what fails is tried again or ends the one connection.
 */
export class SessionStore {
  readonly #state: PublishState
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #limits: SessionLimits
  readonly #memory: MemoryShare
  readonly #subscriptionMemory: MemoryShare
  readonly #isConnected: (clientId: string) => boolean
  readonly #abandon: (client: ClientId, error: Error) => void
  /** Least recently used first. */
  readonly #sessions = new Map<string, Session>()
  /** Subscriptions of QoS 1 and 2, of absent clients too. */
  readonly #tree = new FilterTree<StoredSubscription & { readonly clientId: string }>()

  constructor(parts: {
    state: PublishState
    clock: Clock
    metrics: Metrics
    limits: SessionLimits
    memory: MemoryBudget
    subscriptionMemory: MemoryShare
    isConnected: (clientId: string) => boolean
    /** Ends the connection of a client for which the log cannot be written. */
    abandon: (client: ClientId, error: Error) => void
  }) {
    this.#state = parts.state
    this.#clock = parts.clock
    this.#metrics = parts.metrics
    this.#limits = parts.limits
    this.#memory = new MemoryShare(parts.memory, queueShare)
    this.#subscriptionMemory = parts.subscriptionMemory
    this.#isConnected = parts.isConnected
    this.#abandon = parts.abandon
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
      this.#subscriptionMemory.hold(subscriptionBytes(topic))
      if (qos > 0) this.#tree.add(topic, stored)
    }
  }

  async removeSubscriptions(client: ClientId, topics: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id)
    if (session !== undefined) for (const topic of topics) this.#drop(session, topic)
  }

  async subscriptionsByClient(client: ClientId): Promise<StoredSubscription[]> {
    this.#expire()
    await this.#state.released(client.id)
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
    await this.#state.released(client.id)
  }

  /** The client was here until now: from now on its session ages. */
  seen(clientId: string): void {
    if (this.#sessions.has(clientId)) this.#sessionOf(clientId)
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
    const packets = this.#sessions.get(client.id)?.queue.packets() ?? []
    // the wall clock may have jumped since: what is left counts from now
    const apartMs = this.#clock.wallMs() - this.#clock.monotonicMs()
    for (const packet of packets) {
      if (packet.expiresMonotonicMs !== undefined) packet.messageExpiry = packet.expiresMonotonicMs + apartMs
    }
    return Readable.from(packets)
  }

  // QoS 2 from clients

  async incomingGetPacket(client: ClientId, packet: { readonly messageId: number }): Promise<unknown> {
    if (this.#state.isRepeat(client.id, packet)) return packet
    throw new Error('no such packet')
  }

  /** The packet id was stored with the record. */
  async incomingStorePacket(): Promise<void> {}

  /** Resolves when the release is durable, else never: PUBCOMP must not leave before. */
  async incomingDelPacket(
    client: ClientId & { readonly closed?: boolean },
    packet: { readonly messageId: number },
  ): Promise<void> {
    while (!client.closed) {
      try {
        return await this.#state.release(client.id, packet.messageId)
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        if (error.kind !== 'memoryFull' && error.kind !== 'storageFull') {
          this.#abandon(client, error)
          break
        }
        await sleep(this.#clock, retryAfterMs)
      }
    }
    return new Promise(() => {})
  }

  // retained publishes

  /** The publish gate has stored it with the record; here come only removals by the engine itself, of what has expired. */
  async storeRetained(packet: { readonly topic: string; readonly payload: Buffer | string }): Promise<void> {
    if (packet.payload.length === 0) this.#state.removeRetained(packet.topic)
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(retainedPublishes(this.#state, filters, this.#clock))
  }

  // wills: the engine keeps them with the client, these are copies for other brokers of a cluster

  async putWill(): Promise<void> {}

  async delWill(): Promise<void> {}

  streamWill(): Readable {
    return Readable.from([])
  }

  #enqueue(clientId: string, packet: OutgoingPacket): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return
    const kept = { ...packet }
    if (packet.messageExpiry !== undefined) {
      kept.expiresMonotonicMs = packet.messageExpiry - this.#clock.wallMs() + this.#clock.monotonicMs()
    }
    if (!session.queue.add(kept)) this.#metrics.add('mqttDropped', 1, 'session queue full')
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
    this.#subscriptionMemory.hold(-subscriptionBytes(topic))
    if (subscription.qos > 0) this.#tree.delete(topic, subscription)
  }
}
