import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import type { Groups } from '../broker/groups/groups.ts'
import type { Listeners } from '../broker/listeners/listeners.ts'
import type { RouteExplanation } from '../broker/route-explanation.ts'
import { formatAddress } from '../config/listen-url.ts'
import type { Settings } from '../config/settings.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Connection, Listener } from '../platform/network.ts'
import type { SetupRefusal } from '../platform/stream-server.ts'
import type { MqttInflightView } from '../state/mqtt-inflight.ts'
import type { RetainedView } from '../state/retained.ts'
import type { StateLog } from '../state/state-log.ts'
import { CloseLog } from './close-log.ts'
import { MqttConnection } from './connection.ts'
import { Deliveries } from './deliver.ts'
import { DurableWork } from './durable-work.ts'
import { Emitter } from './emitter.ts'
import { Ingest } from './ingest.ts'
import { MemoryShare } from './memory-share.ts'
import { OutboundLimit } from './outbound-limit.ts'
import { PublishGate } from './publish-gate.ts'
import { PublishState } from './publish-state.ts'
import { ReadGate } from './read-gate.ts'
import { explainRoute } from './route-explanation.ts'
import { type ConnectedClient, SessionEngine } from './session-engine.ts'
import { SessionStore } from './session-store.ts'
import { TopicRoutes } from './topic-routes.ts'

export interface MqttFrontParts {
  readonly broker: Broker
  readonly groups: Groups
  readonly state: StateLog
  /** Opened with the other views. */
  readonly retained: RetainedView
  readonly inflight: MqttInflightView
  readonly settings: Settings
  /** `{gateway}` of deliver rules. */
  readonly gatewayId: string
  readonly clock: Clock
  readonly clockQuality: () => ClockQuality
  readonly listeners: Listeners
  readonly logger: Logger
  readonly metrics: Metrics
  /** False: every packet takes the session engine's way; for tests that compare the two. */
  readonly hotPath?: boolean
}

export interface MqttAddress {
  readonly scheme: string
  /** `host:port` as bound, or the path of a Unix socket. */
  readonly address: string
}

/** Bytes of retained publishes that are kept, topics included. */
const retainedMaxBytes = 8 * 1024 * 1024
/** Parts of the memory budget for subscriptions and for wills of all clients. */
const subscriptionShare = 16
const willShare = 32
const closeWaitMs = 2000
const unreadCheckMs = 5000

/** The MQTT front: listeners, sessions, routes, ingest and deliver rules. */
export class MqttFront {
  readonly routes: TopicRoutes
  readonly #parts: MqttFrontParts
  readonly #engine: SessionEngine
  readonly #ingest: Ingest
  readonly #work: DurableWork
  readonly #gate: ReadGate
  readonly #outbound: OutboundLimit
  readonly #closeLog: CloseLog
  readonly #deliveries: Deliveries
  readonly #listeners: Listener[] = []
  readonly #connections = new Set<MqttConnection>()
  #unreadCheck: Timer | undefined

  constructor(parts: MqttFrontParts) {
    const { broker, settings, clock, clockQuality, metrics } = parts
    const logger = parts.logger.child('mqtt')
    this.#parts = parts
    this.#work = new DurableWork(broker)
    this.#gate = new ReadGate(broker.memory, metrics)
    this.#outbound = new OutboundLimit(broker.memory, settings['mqtt.subscriber.max.bytes'])
    this.#closeLog = new CloseLog(logger, clock, metrics)
    this.routes = new TopicRoutes({ broker, routes: settings.routes, maxAutoTopics: settings['mqtt.auto.topics.max'] })
    const subscriptionMemory = new MemoryShare(broker.memory, subscriptionShare)
    const emitter = new Emitter(clock, subscriptionMemory)
    const isConnected = (clientId: string): boolean => this.#engine.isConnected(clientId)
    const state = new PublishState({
      log: parts.state,
      retained: parts.retained,
      inflight: parts.inflight,
      limits: {
        count: settings['mqtt.retained.max'],
        bytes: Math.min(retainedMaxBytes, broker.memory.limitBytes / 8),
        inflightPerClient: settings['mqtt.inflight.max'],
        inflightClients: settings['mqtt.sessions.max'],
        isConnected,
      },
      clock,
    })
    const store = new SessionStore({
      state,
      clock,
      metrics,
      limits: {
        sessions: settings['mqtt.sessions.max'],
        queueBytes: settings['mqtt.subscriber.max.bytes'],
        expiryMs: settings['mqtt.session.expiry.max.ms'],
      },
      memory: broker.memory,
      subscriptionMemory,
      isConnected,
      abandon: (client, error) => this.#engine.abandon(client, error),
    })
    this.#engine = new SessionEngine({
      gate: new PublishGate({ broker, routes: this.routes, state, clock, clockQuality, metrics }),
      work: this.#work,
      emitter,
      store,
      outbound: this.#outbound,
      closeLog: this.#closeLog,
      clock,
      logger,
      metrics,
      connectTimeoutMs: settings['mqtt.connect.timeout.ms'],
      keepAliveMaxMs: settings['mqtt.keep.alive.max'],
      maxPacketBytes: settings['mqtt.max.packet.bytes'],
      maxInflight: settings['mqtt.inflight.max'],
      subscriptionMemory,
      willMemory: new MemoryShare(broker.memory, willShare),
      maxSubscriptions: settings['mqtt.subscriptions.max'],
      subscribeDeny: settings['mqtt.subscribe.deny'],
      maxSessions: settings['mqtt.sessions.max'],
      sessionExpiryMs: settings['mqtt.session.expiry.max.ms'],
    })
    const subscribers = {
      get generation(): number {
        return emitter.generation + store.generation
      },
      has: (topic: string): boolean => emitter.has(topic) || store.has(topic),
    }
    this.#ingest = new Ingest({ broker, routes: this.routes, subscribers, clock, clockQuality, metrics })
    this.#deliveries = new Deliveries({
      broker,
      groups: parts.groups,
      engine: this.#engine,
      rules: settings.deliver,
      gatewayId: parts.gatewayId,
      clock,
      logger,
      metrics,
    })
    metrics.gauge('mqttConnections', () => this.#engine.connectedCount)
  }

  /** Listens and starts the deliver rules. Rejects with Node's `code` when an address cannot be bound; then nothing listens. */
  async open(): Promise<readonly MqttAddress[]> {
    const { settings, listeners } = this.#parts
    await this.#engine.start()
    const addresses: MqttAddress[] = []
    try {
      for (const url of settings['mqtt.listen']) {
        const options = {
          webSocket: { subprotocol: 'mqtt', maxFrameBytes: 2 * settings['mqtt.max.packet.bytes'] },
          onRefused: (reason: SetupRefusal, remote: string, why: string) =>
            this.#closeLog.closed(reason, { remote }, why),
        }
        const listener = await listeners.open(url, options, connection => this.#connected(connection))
        this.#listeners.push(listener)
        const { host, port } = listener.address
        addresses.push({ scheme: url.scheme, address: url.path ?? formatAddress(host, port) })
      }
    } catch (error) {
      await this.close()
      throw error
    }
    this.#deliveries.start()
    this.#checkUnread()
    return addresses
  }

  /** What becomes of a publish to `mqttTopic`; changes nothing. */
  explain(mqttTopic: string): RouteExplanation {
    return explainRoute(this.routes, this.#parts.broker, this.#parts.settings['num.partitions'], mqttTopic)
  }

  clients(): readonly ConnectedClient[] {
    return this.#engine.clients()
  }

  /** Stops accepting, lets publishes in hand be acknowledged, closes all connections. The log is still open when it is called. */
  async close(): Promise<void> {
    this.#unreadCheck?.cancel()
    for (const listener of this.#listeners) await listener.close()
    await this.#deliveries.stop()
    await this.#acknowledged()
    await this.#engine.close()
    for (const connection of [...this.#connections]) connection.destroy()
  }

  #checkUnread(): void {
    const { clock } = this.#parts
    this.#unreadCheck = clock.after(unreadCheckMs, () => {
      const nowMs = clock.monotonicMs()
      if (this.#gate.awaited) for (const connection of [...this.#connections]) connection.closeIfUnread(nowMs)
      this.#checkUnread()
    })
  }

  /** Everything taken is acknowledged, or the device takes too long. */
  #acknowledged(): Promise<void> {
    return new Promise(resolve => {
      this.#parts.clock.after(closeWaitMs, resolve)
      this.#work.afterPending(() => resolve())
    })
  }

  #connected(socket: Connection): void {
    const { settings, clock, metrics, hotPath = true } = this.#parts
    const connection = new MqttConnection(socket, {
      ingest: this.#ingest,
      work: this.#work,
      gate: this.#gate,
      outbound: this.#outbound,
      closeLog: this.#closeLog,
      clock,
      metrics,
      maxPacketBytes: settings['mqtt.max.packet.bytes'],
      maxInflight: settings['mqtt.inflight.max'],
      hotPath,
    })
    this.#connections.add(connection)
    connection.stream.once('close', () => this.#connections.delete(connection))
    this.#engine.handle(connection)
  }
}
