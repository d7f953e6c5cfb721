import { Aedes, type AuthenticateError, type Client, type PublishPacket, type Subscription } from 'aedes'
import type { SubscribeDenyRule } from '../config/subscribe-deny.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { filterCovers, topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import type { CloseLog, Peer } from './close-log.ts'
import { ConnectAdmission } from './connect-admission.ts'
import type { MqttConnection } from './connection.ts'
import type { DurableWork } from './durable-work.ts'
import type { Emitter } from './emitter.ts'
import { correctClient, correctEngine } from './engine-corrections.ts'
import type { MemoryShare } from './memory-share.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import { PublishAdmission, peerOf } from './publish-admission.ts'
import type { PublishGate } from './publish-gate.ts'
import type { SessionStore } from './session-store.ts'
import { SubscriberLimits, subscriptionsOf } from './subscriber-limits.ts'

export interface SessionEngineParts {
  readonly gate: PublishGate
  readonly work: DurableWork
  readonly emitter: Emitter
  readonly store: SessionStore
  readonly outbound: OutboundLimit
  readonly closeLog: CloseLog
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly connectTimeoutMs: number
  /** 0: any. */
  readonly keepAliveMaxMs: number
  readonly maxPacketBytes: number
  readonly maxInflight: number
  readonly maxSubscriptions: number
  readonly subscribeDeny: readonly SubscribeDenyRule[]
  /** Subscriptions of all clients. */
  readonly subscriptionMemory: MemoryShare
  /** Wills of all clients. */
  readonly willMemory: MemoryShare
  readonly maxSessions: number
  /** `Infinity`: sessions do not end by themselves. */
  readonly sessionExpiryMs: number
}

/** What people are shown of a client. */
export interface ConnectedClient {
  readonly clientId: string
  readonly address: string
  /** 3, 4 or 5, as in CONNECT. */
  readonly protocolVersion: number
  readonly connectedMs: number
  readonly subscriptions: number
}

const topicAliases = 10
const maxUint32 = 2 ** 32 - 1

/**
 * Sessions, subscriptions and their packets, by aedes. Every publish and will passes `authorizePublish`, where it is stored; aedes
 * acknowledges and distributes it when the callback comes, which is after the sync.
 */
export class SessionEngine {
  readonly #parts: SessionEngineParts
  readonly #aedes: Aedes
  readonly #connections = new WeakMap<object, MqttConnection>()
  readonly #keepAliveMs = new WeakMap<object, number>()
  readonly #clients = new Map<string, Client>()
  readonly #connectedAtMs = new WeakMap<object, number>()
  readonly #admission: PublishAdmission
  readonly #connects: ConnectAdmission
  readonly #subscribers: SubscriberLimits

  constructor(parts: SessionEngineParts) {
    this.#parts = parts
    const connectionOf = (client: Client): MqttConnection | undefined => this.#connectionOf(client)
    this.#admission = new PublishAdmission({ ...parts, connectionOf })
    this.#connects = new ConnectAdmission({ ...parts, connectionOf })
    this.#subscribers = new SubscriberLimits({ ...parts, connectionOf })
    this.#aedes = new Aedes({
      mq: parts.emitter,
      persistence: parts.store,
      connectTimeout: parts.connectTimeoutMs,
      keepaliveLimit: Math.floor(parts.keepAliveMaxMs / 1000),
      maximumPacketSize: parts.maxPacketBytes,
      receiveMaximum: parts.maxInflight,
      topicAliasMaximum: topicAliases,
      maxClientsIdLength: 65_535,
      pendingSessionsLimit: parts.maxSessions,
      sessionExpiryIntervalLimit: Math.min(maxUint32, Math.ceil(parts.sessionExpiryMs / 1000)) % maxUint32,
      preConnect: (client, packet, done) => {
        const malformed = this.#connects.malformed(packet)
        this.#keepAliveMs.set(client, (packet.keepalive ?? 0) * 1000)
        this.#connects.seen(client, packet)
        done(malformed ?? null, malformed === undefined)
      },
      authenticate: (client, _name, _password, done) => {
        const refusal = this.#connects.refusal(client)
        done((refusal as AuthenticateError | undefined) ?? null, refusal === undefined)
      },
      authorizePublish: (client, packet, done) => this.#admission.authorize(client, packet, done),
      authorizeSubscribe: (_client, subscription, done) => this.#authorizeSubscribe(subscription, done),
      authorizeForward: (client, packet) => this.#subscribers.forward(client, packet),
    })
    correctEngine(this.#aedes)
    this.#listen()
  }

  async start(): Promise<void> {
    await this.#aedes.listen()
    this.#parts.emitter.engineStarted()
  }

  /** Takes over the session side of a connection. */
  handle(connection: MqttConnection): void {
    this.#connections.set(connection.stream, connection)
    const client = this.#aedes.handle(connection.stream)
    correctClient(client, packet => this.#subscribers.checkSubscribe(client, packet))
  }

  /** The log cannot be written: the client's connection ends without an acknowledgement. */
  abandon(client: object, error: Error): void {
    this.#admission.abandon(client as Client, error)
  }

  isConnected(clientId: string): boolean {
    return this.#clients.has(clientId)
  }

  get connectedCount(): number {
    return this.#clients.size
  }

  /** Connected clients, for people. */
  clients(): ConnectedClient[] {
    const nowMs = this.#parts.clock.monotonicMs()
    return [...this.#clients.values()].map(client => ({
      clientId: client.id,
      address: this.#peerOf(client).remote,
      protocolVersion: client.version,
      connectedMs: Math.round(nowMs - (this.#connectedAtMs.get(client) ?? nowMs)),
      subscriptions: Object.keys(subscriptionsOf(client)).length,
    }))
  }

  /** Publishes to subscribers without storing; resolves when all who are there have it or have it queued. */
  deliver(packet: {
    topic: string
    payload: Buffer
    qos: 0 | 1 | 2
    properties?: Record<string, unknown> | undefined
  }): Promise<void> {
    const { properties, ...rest } = packet
    const publish = { cmd: 'publish', retain: false, dup: false, ...rest, ...(properties && { properties }) }
    return new Promise((resolve, reject) => {
      this.#aedes.publish(publish as PublishPacket, error => (error ? reject(error) : resolve()))
    })
  }

  /** Tells clients and closes their connections; sessions stay until the process ends. */
  close(): Promise<void> {
    return new Promise(resolve => this.#aedes.close(resolve))
  }

  #listen(): void {
    const { clock, closeLog, metrics } = this.#parts
    this.#aedes.on('clientReady', client => {
      this.#clients.set(client.id, client)
      this.#connectedAtMs.set(client, clock.monotonicMs())
      const keepAliveMs = this.#keepAliveMs.get(client) ?? 0
      this.#connectionOf(client)?.accepted({ clientId: client.id, version: client.version, keepAliveMs })
    })
    this.#aedes.on('clientDisconnect', client => {
      if (this.#clients.get(client.id) === client) this.#clients.delete(client.id)
      this.#parts.store.seen(client.id)
      // packet ids of a clean session end with it
      if (client.clean) this.#parts.store.cleanSubscriptions(client).catch((error: Error) => this.#storeFailed(error))
    })
    this.#aedes.on('subscribe', (subscriptions, client) => {
      const filters = subscriptions.map(({ topic }) => topic)
      this.#subscribers.subscribed(client, filters)
    })
    this.#aedes.on('keepaliveTimeout', client =>
      closeLog.closed('keep.alive', this.#peerOf(client), 'nothing came for one and a half keep alive intervals'),
    )
    const onError = (client: Client, error: Error): void => {
      if (error instanceof BrokerError || error.message === 'keep alive timeout') return
      const tooLarge = error.message === 'packet too large'
      closeLog.closed(tooLarge ? 'packet.size' : 'protocol', this.#peerOf(client), error.message)
    }
    this.#aedes.on('clientError', onError)
    this.#aedes.on('connectionError', onError)
    this.#aedes.on('sessionLimitReached', () => metrics.add('mqttDropped', 1, 'session evicted'))
    // aedes says it of its store; ours only fails when the log does
    const events = this.#aedes as unknown as { on(event: 'error', listener: (error: Error) => void): unknown }
    events.on('error', error => this.#storeFailed(error))
  }

  /** When the log has failed, sessions end in memory only. */
  #storeFailed(error: Error): void {
    if (!(error instanceof BrokerError)) throw error
    this.#parts.logger.warn({ error: error.message }, 'mqtt session engine')
  }

  #authorizeSubscribe(
    subscription: Subscription,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): void {
    const fault = topicFilterFault(subscription.topic)
    const isDenied = this.#parts.subscribeDeny.some(({ mqtt }) => filterCovers(mqtt, subscription.topic))
    if (fault !== undefined) done(new Error(`cannot subscribe: ${fault}`))
    else if (isDenied) done(null, null)
    else done(null, subscription)
  }

  #connectionOf(client: Client): MqttConnection | undefined {
    return this.#connections.get(client.conn)
  }

  #peerOf(client: Client): Peer {
    return peerOf(client, this.#connectionOf(client))
  }
}
