import { Aedes, type AedesPublishPacket, type Client, type PublishPacket, type Subscription } from 'aedes'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { encodeRefusal } from '../wire/mqtt/acks.ts'
import { filterMatches, topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import type { CloseLog } from './close-log.ts'
import type { MqttConnection } from './connection.ts'
import type { DurableWork } from './durable-work.ts'
import { discardedTopic, type Emitter } from './emitter.ts'
import { pubackReason } from './errors.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import type { EnginePublish, PublishGate } from './publish-gate.ts'
import type { SessionStore } from './session-store.ts'

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
  readonly maxSessions: number
  /** `Infinity`: sessions do not end by themselves. */
  readonly sessionExpiryMs: number
}

type Done = (error?: Error | null) => void

/** What people are shown of a client. */
export interface ConnectedClient {
  readonly clientId: string
  readonly address: string
  /** 3, 4 or 5, as in CONNECT. */
  readonly protocolVersion: number
  readonly connectedMs: number
  readonly subscriptions: number
}

/** A publish that waits is tried again so often while the log has no memory for it. */
const retryAfterMs = 10
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
  readonly #stalled: (() => boolean)[] = []

  constructor(parts: SessionEngineParts) {
    this.#parts = parts
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
        this.#keepAliveMs.set(client, (packet.keepalive ?? 0) * 1000)
        done(null, true)
      },
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => this.#authorizeSubscribe(client, subscription, done),
      authorizeForward: (client, packet) => this.#authorizeForward(client, packet),
    })
    this.#listen()
  }

  start(): Promise<void> {
    return this.#aedes.listen()
  }

  /** Takes over the session side of a connection. */
  handle(connection: MqttConnection): void {
    this.#connections.set(connection.stream, connection)
    this.#aedes.handle(connection.stream)
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
      address: this.#remoteOf(client),
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
    const { clock, closeLog, metrics, logger } = this.#parts
    this.#aedes.on('clientReady', client => {
      this.#clients.set(client.id, client)
      this.#connectedAtMs.set(client, clock.monotonicMs())
      const keepAliveMs = this.#keepAliveMs.get(client) ?? 0
      this.#connectionOf(client)?.accepted({ clientId: client.id, version: client.version, keepAliveMs })
    })
    this.#aedes.on('clientDisconnect', client => {
      if (this.#clients.get(client.id) === client) this.#clients.delete(client.id)
      // packet ids of a clean session end with it
      if (client.clean) void this.#parts.store.cleanSubscriptions(client)
    })
    this.#aedes.on('keepaliveTimeout', client =>
      closeLog.closed('keep.alive', this.#remoteOf(client), 'nothing came for one and a half keep alive intervals'),
    )
    const onError = (client: Client, error: Error): void => {
      if (error instanceof BrokerError || error.message === 'keep alive timeout') return
      const tooLarge = error.message === 'packet too large'
      closeLog.closed(tooLarge ? 'packet.size' : 'protocol', this.#remoteOf(client), error.message)
    }
    this.#aedes.on('clientError', onError)
    this.#aedes.on('connectionError', onError)
    this.#aedes.on('sessionLimitReached', () => metrics.add('mqttDropped', 1, 'session evicted'))
    // aedes says it of its store; ours only fails when the log does
    const events = this.#aedes as unknown as { on(event: 'error', listener: (error: Error) => void): unknown }
    events.on('error', error => logger.warn({ error: error.message }, 'mqtt session engine'))
  }

  /** Never calls back before it returns: the engine would ask for more while it still has packets of the last read. */
  #authorizePublish(client: Client | null, packet: PublishPacket, callback: Done): void {
    const { clock } = this.#parts
    let returned = false
    const done: Done = error => {
      if (returned) callback(error)
      else clock.afterIo(() => callback(error))
    }
    this.#admit(client, packet, done)
    returned = true
  }

  #admit(client: Client | null, packet: PublishPacket, done: Done): void {
    const { metrics } = this.#parts
    const isWill = packet.cmd !== 'publish'
    if (!isWill) metrics.add('mqttReceived', 1, String(packet.qos))
    // topics of the broker are nobody's to publish to
    if (packet.topic.startsWith('$SYS/')) {
      this.#refuse(client, packet, new BrokerError('notAuthorized', 'topics under $SYS belong to the broker'), done)
      return
    }
    const store = (): boolean => this.#store(client, packet as unknown as EnginePublish, isWill, done)
    if (this.#stalled.length > 0 || !store()) this.#stall(store)
  }

  /** Publishes wait here, in order, while the log has no memory for them. */
  #stall(store: () => boolean): void {
    this.#stalled.push(store)
    if (this.#stalled.length === 1) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  readonly #retry = (): void => {
    while (this.#stalled.length > 0 && this.#stalled[0]!()) this.#stalled.shift()
    if (this.#stalled.length > 0) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  /** False: not now, the log has no memory for it. */
  #store(client: Client | null, packet: EnginePublish, isWill: boolean, done: Done): boolean {
    const { gate, work, metrics } = this.#parts
    if (client?.closed && !isWill) return true
    try {
      const { group } = gate.store(client?.id ?? '', packet)
      if (group === undefined) {
        // acknowledgements keep the order of the publishes, stored or not. [MQTT-4.6.0-2]
        if (packet.qos === 0) done()
        else work.afterPending(() => done())
        return true
      }
      work.after(group, error => {
        // a client that is told nothing publishes again
        if (error !== undefined) {
          this.#abandon(client, error)
          return
        }
        if (!isWill && packet.qos > 0) metrics.add('mqttAcked')
        done()
      })
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.kind === 'memoryFull') return false
      this.#refuse(client, packet, error, done)
    }
    return true
  }

  /** What is not stored is not acknowledged: MQTT 5 has a word for it, before that the connection ends. QoS 0 is dropped. */
  #refuse(client: Client | null, packet: EnginePublish | PublishPacket, error: BrokerError, done: Done): void {
    const { metrics, work, closeLog } = this.#parts
    metrics.add('mqttRefused', 1, error.kind)
    // a will that cannot be stored is not published
    if (client === null || client.closed) {
      done(error)
      return
    }
    if (packet.qos === 0) metrics.add('mqttDropped', 1, 'not stored')
    else if (client.version !== 5) {
      closeLog.closed('not.stored', this.#remoteOf(client), error.message)
      done(error)
      return
    }
    const { qos, messageId = 0 } = packet
    const refusal = qos === 0 ? [] : [encodeRefusal(qos as 1 | 2, messageId, pubackReason(error.kind))]
    // acknowledgements keep the order of the publishes. [MQTT-4.6.0-2]
    work.afterPending(failure => {
      if (failure !== undefined) {
        this.#abandon(client, failure)
        return
      }
      this.#connectionOf(client)?.write(refusal)
      discard(packet)
      done()
    })
  }

  /** The log cannot be written: the connection ends without an acknowledgement. */
  #abandon(client: Client | null, error: Error): void {
    this.#parts.metrics.add('mqttRefused', 1, 'storageFailed')
    if (client === null || client.closed) return
    this.#parts.closeLog.closed('storage', this.#remoteOf(client), error.message)
    this.#connectionOf(client)?.destroy()
  }

  #authorizeSubscribe(
    client: Client,
    subscription: Subscription,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): void {
    const { topic } = subscription
    const fault = topicFilterFault(topic)
    const subscriptions = subscriptionsOf(client)
    const isNew = !Object.hasOwn(subscriptions, topic)
    if (fault !== undefined) done(new Error(`cannot subscribe: ${fault}`))
    else if (isNew && Object.keys(subscriptions).length >= this.#parts.maxSubscriptions) {
      this.#parts.metrics.add('mqttRefused', 1, 'subscriptions.max')
      done(null, null)
    } else done(null, subscription)
  }

  /** Bounds what waits for a slow subscriber: QoS 0 is dropped; with more, the connection ends, and a session keeps what it has queued. */
  #authorizeForward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const connection = this.#connectionOf(client)
    if (connection === undefined || !this.#parts.outbound.tooSlow(connection.pendingBytes)) return packet
    const { metrics, closeLog } = this.#parts
    metrics.add('mqttDropped', 1, 'slow subscriber')
    if (packet.qos === 0 || subscribedQos(client, packet.topic) === 0) return null
    closeLog.closed('slow.subscriber', connection.remote, `${connection.pendingBytes} bytes wait for it`)
    connection.destroy()
    return packet
  }

  #connectionOf(client: Client): MqttConnection | undefined {
    return this.#connections.get(client.conn)
  }

  #remoteOf(client: Client): string {
    return this.#connectionOf(client)?.remote ?? ''
  }
}

/** The highest QoS with which the client subscribes to the topic. */
function subscribedQos(client: Client, topic: string): number {
  let highest = 0
  for (const [filter, { qos }] of Object.entries(subscriptionsOf(client))) {
    if (qos > highest && filterMatches(filter, topic)) highest = qos
  }
  return highest
}

// aedes has it, its types have not
const subscriptionsOf = (client: Client): Record<string, { readonly qos: number }> =>
  (client as unknown as { subscriptions: Record<string, { readonly qos: number }> }).subscriptions

/** The engine has no way to take a packet back: it goes on as a publish to a topic that the emitter drops. */
function discard(packet: EnginePublish | PublishPacket): void {
  const mutable = packet as { topic: string; qos: number; retain: boolean; payload: Buffer }
  mutable.topic = discardedTopic
  mutable.qos = 0
  mutable.retain = false
  mutable.payload = Buffer.alloc(0)
}
