import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import type { DeviceDeliverySummary, FormerRule } from '../broker/downlink-summary.ts'
import type { Groups } from '../broker/groups/groups.ts'
import type { Listeners } from '../broker/listeners/listeners.ts'
import { ReadGate } from '../broker/read-gate.ts'
import { RefusalLog } from '../broker/refusal-log.ts'
import type { RouteExplanation } from '../broker/route-explanation.ts'
import { formatAddress } from '../config/listen-url.ts'
import type { Settings } from '../config/settings.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Connection, Listener } from '../platform/network.ts'
import type { Random } from '../platform/random.ts'
import type { ConnectionRefusal, SetupRefusal } from '../platform/stream-server.ts'
import type { DownlinkView } from '../state/downlink.ts'
import type { MqttInflightView } from '../state/mqtt-inflight.ts'
import type { MqttOutboundView } from '../state/mqtt-outbound.ts'
import type { MqttSessionsView } from '../state/mqtt-sessions.ts'
import type { MqttSharesView } from '../state/mqtt-shares.ts'
import type { MqttWillsView } from '../state/mqtt-wills.ts'
import type { RetainedView } from '../state/retained.ts'
import type { SparkplugView } from '../state/sparkplug.ts'
import type { StateLog } from '../state/state-log.ts'
import { stateTopic } from '../wire/sparkplug/topic.ts'
import type { Client } from './client.ts'
import { ResumedCommands } from './commands/resumed-commands.ts'
import { MqttConnection } from './connection.ts'
import { Deliveries } from './deliver.ts'
import { Distribution } from './distribution.ts'
import type { EnhancedAuthentication } from './enhanced-authentication.ts'
import { reasonCodes } from './errors.ts'
import { ackProgress, durableProgress, GroupWork } from './group-work.ts'
import { Ingest } from './ingest.ts'
import { MemoryShare } from './memory-share.ts'
import { OutboundLimit } from './outbound-limit.ts'
import { OutboundLog } from './outbound-log.ts'
import { PublishState } from './publish-state.ts'
import { PublishStore } from './publish-store.ts'
import { Replays } from './replays.ts'
import { explainRoute } from './route-explanation.ts'
import type { MqttLimits, MqttServices } from './services.ts'
import { SessionLog } from './session-log.ts'
import { Sessions } from './sessions.ts'
import { ShareLog } from './share-log.ts'
import { EdgeNodes } from './sparkplug/edge-nodes.ts'
import { HostState } from './sparkplug/host-state.ts'
import { Rebirths } from './sparkplug/rebirths.ts'
import { SparkplugStore } from './sparkplug/sparkplug-store.ts'
import { Subscriptions } from './subscriptions.ts'
import { SystemTopics } from './system-topics.ts'
import { TopicRoutes } from './topic-routes.ts'
import { Traffic } from './traffic.ts'
import { Wills } from './will.ts'

export interface MqttFrontParts {
  readonly broker: Broker
  readonly groups: Groups
  readonly state: StateLog
  /** Opened with the other views. */
  readonly retained: RetainedView
  readonly inflight: MqttInflightView
  readonly sessions: MqttSessionsView
  readonly outbound: MqttOutboundView
  readonly shares: MqttSharesView
  readonly wills: MqttWillsView
  readonly sparkplug: SparkplugView
  readonly downlink: DownlinkView
  readonly settings: Settings
  /** `{gateway}` of deliver rules. */
  readonly gatewayId: string
  readonly clock: Clock
  readonly clockQuality: () => ClockQuality
  readonly random: Random
  readonly listeners: Listeners
  readonly logger: Logger
  readonly metrics: Metrics
  /** Enhanced authentication of MQTT 5; without it no method is known. */
  readonly authentication?: EnhancedAuthentication
  /** False: every publish goes through the store; for tests that compare the two ways. */
  readonly hotPath?: boolean
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

export interface MqttAddress {
  readonly scheme: string
  /** `host:port` as bound, or the path of a Unix socket. */
  readonly address: string
}

/** What is remembered of the births of Sparkplug. */
const sparkplugLimits = { count: 10_000, bytes: 8 * 1024 * 1024 }
/** Bytes of retained publishes that are kept, topics included. */
const retainedMaxBytes = 8 * 1024 * 1024
/** Parts of the memory budget for what all clients together make us keep. */
const shares = { subscriptions: 16, wills: 32, aliases: 64, queues: 8 }
const closeWaitMs = 2000
const checkMs = 500
const advanceMs = 5000

/** The MQTT front: listeners, connections, sessions, routes, ingest and deliver rules. */
export class MqttFront {
  readonly routes: TopicRoutes
  readonly #parts: MqttFrontParts
  readonly #services: MqttServices
  readonly #deliveries: Deliveries
  readonly #hostState: HostState
  readonly #listeners: Listener[] = []
  readonly #connections = new Set<MqttConnection>()
  #check: Timer | undefined
  #advance: Timer | undefined

  constructor(parts: MqttFrontParts) {
    const { broker, settings, clock, metrics } = parts
    this.#parts = parts
    this.routes = new TopicRoutes({ broker, routes: settings.routes, maxAutoTopics: settings['mqtt.auto.topics.max'] })
    this.#services = servicesOf(parts, this.routes)
    this.#deliveries = new Deliveries({
      broker,
      groups: parts.groups,
      distribution: this.#services.distribution,
      subscriptions: this.#services.subscriptions,
      commands: this.#services.commands,
      state: parts.state,
      view: parts.downlink,
      rules: settings.deliver,
      retentionMinutes: settings['offsets.retention.minutes'],
      gatewayId: parts.gatewayId,
      clock,
      logger: parts.logger.child('mqtt'),
      metrics,
    })
    this.#hostState = new HostState({
      hostId: settings['sparkplug.host.id'],
      gatewayId: parts.gatewayId,
      broker,
      store: this.#services.store,
      distribution: this.#services.distribution,
      clock,
    })
    broker.topics.onChange((topic, change) => {
      if (change !== 'deleted') return
      this.#services.sessions.forget(topic.partitions)
      this.#services.replays.forget(topic.partitions)
    })
    metrics.gauge('mqttConnections', () => this.#services.sessions.connectedCount)
  }

  /** Listens and starts the deliver rules. Rejects with `StartError` when an address cannot be bound; then nothing listens. */
  async open(): Promise<readonly MqttAddress[]> {
    const { settings, listeners } = this.#parts
    const { sessions, wills } = this.#services
    sessions.restore()
    wills.restore(clientId => sessions.find(clientId))
    this.#deliveries.takeUp()
    void this.#hostState.announce(true)
    const addresses: MqttAddress[] = []
    try {
      for (const url of settings['mqtt.listen']) {
        const services = { ...this.#services, limits: limitsOf(listeners.settingsOf(url)) }
        const options = {
          // [MQTT-6.0.0-4]
          webSocket: { subprotocol: 'mqtt', maxFrameBytes: 2 * services.limits.maxPacketBytes },
          tells: true,
          onRefused: (reason: SetupRefusal, remote: string, why: string) =>
            this.#services.closings.refused(reason, { remote, why }),
        }
        const listener = await listeners.open(url, options, (connection, refusal) =>
          this.#connected(connection, services, refusal),
        )
        this.#listeners.push(listener)
        const { host, port } = listener.address
        addresses.push({ scheme: url.scheme, address: url.path ?? formatAddress(host, port) })
      }
    } catch (error) {
      await this.close()
      throw error
    }
    this.#deliveries.start()
    this.#services.systemTopics.start()
    this.#checkConnections()
    this.#advanceSessions()
    return addresses
  }

  /** What becomes of a publish to `mqttTopic`; changes nothing. */
  explain(mqttTopic: string): RouteExplanation {
    return explainRoute(this.routes, this.#parts.broker, this.#parts.settings['num.partitions'], mqttTopic)
  }

  /** Deliver rules that wait for devices, for people. */
  deviceDeliveries(): readonly DeviceDeliverySummary[] {
    return this.#deliveries.summaries()
  }

  /** Those that are gone from the settings, and of which something waits. */
  formerRules(): readonly FormerRule[] {
    return this.#deliveries.formerRules()
  }

  /** Connected clients, for people. */
  clients(): readonly ConnectedClient[] {
    const nowMs = this.#parts.clock.monotonicMs()
    return [...this.#services.sessions.clients()].map(client => shown(client, nowMs))
  }

  /** Stops accepting, lets publishes in hand be acknowledged, closes all connections. The log is still open when it is called. */
  async close(): Promise<void> {
    this.#check?.cancel()
    this.#advance?.cancel()
    this.#services.systemTopics.stop()
    for (const listener of this.#listeners) await listener.close()
    await this.#deliveries.stop()
    await this.#acknowledged(this.#hostState.announce(false))
    for (const connection of [...this.#connections]) connection.endWith(reasonCodes.serverShuttingDown)
    this.#services.sessions.advance()
    this.#services.sessions.stop()
    this.#services.wills.stop()
  }

  #checkConnections(): void {
    const { clock } = this.#parts
    this.#check = clock.after(checkMs, () => {
      const nowMs = clock.monotonicMs()
      for (const connection of [...this.#connections]) {
        connection.checkKeepAlive(nowMs)
        connection.closeIfUnread(nowMs)
      }
      this.#checkConnections()
    })
  }

  /** After a crash, what was acknowledged since then is delivered again. */
  #advanceSessions(): void {
    this.#advance = this.#parts.clock.after(advanceMs, () => {
      this.#services.sessions.advance()
      this.#advanceSessions()
    })
  }

  /** Everything taken is acknowledged, and what is `told` is, or the device takes too long. */
  #acknowledged(told: Promise<void>): Promise<void> {
    return new Promise(resolve => {
      this.#parts.clock.after(closeWaitMs, resolve)
      this.#services.work.afterPending(() => void told.then(resolve))
    })
  }

  readonly #ended = (connection: MqttConnection): void => void this.#connections.delete(connection)

  #connected(socket: Connection, services: MqttServices, refusal: ConnectionRefusal | undefined): void {
    this.#connections.add(new MqttConnection(socket, services, this.#ended, refusal))
  }
}

const shown = (client: Client, nowMs: number): ConnectedClient => ({
  clientId: client.clientId,
  address: client.connection.remote,
  protocolVersion: client.version,
  connectedMs: Math.round(nowMs - client.connectedAtMs),
  subscriptions: client.session.subscriptions.size + client.replays.size,
})

/** Of all listeners, or of one with settings of its own. */
const limitsOf = (settings: Settings): MqttLimits => ({
  maxPacketBytes: settings['mqtt.max.packet.bytes'],
  maxInflight: settings['mqtt.inflight.max'],
  maxSubscriptions: settings['mqtt.subscriptions.max'],
  maxTopicLevels: settings['mqtt.topic.levels.max'],
  publishesPerSecond: settings['mqtt.publish.rate.max'],
  publishBytesPerSecond: settings['mqtt.publish.bytes.rate.max'],
  keepAliveMaxMs: settings['mqtt.keep.alive.max'],
  connectTimeoutMs: settings['mqtt.connect.timeout.ms'],
  sessionExpiryMaxMs: settings['mqtt.session.expiry.max.ms'],
  sessionRetentionMs: settings['mqtt.session.retention.ms'],
  sessionRetentionBytes: settings['mqtt.session.retention.bytes'],
})

/** Puts together what connections and packet handlers work with. */
function servicesOf(parts: MqttFrontParts, routes: TopicRoutes): MqttServices {
  const { broker, settings, clock, clockQuality, random, metrics } = parts
  const { memory } = broker
  const work = new GroupWork(ackProgress(broker))
  const state = new PublishState({
    log: parts.state,
    retained: parts.retained,
    inflight: parts.inflight,
    limits: {
      count: settings['mqtt.retained.max'],
      bytes: Math.min(retainedMaxBytes, memory.limitBytes / 8),
      inflightPerClient: settings['mqtt.inflight.max'],
    },
    clock,
  })
  const subscriptions = new Subscriptions(new MemoryShare(memory, shares.subscriptions), metrics)
  const distribution = new Distribution(new GroupWork(durableProgress(broker)), subscriptions, clock)
  const shareLog = new ShareLog({ ...parts, log: parts.state }, subscriptions)
  const sessionLog = new SessionLog({ ...parts, log: parts.state, shareLog })
  const hostId = settings['sparkplug.host.id']
  const ownTopic = hostId === '' ? '' : stateTopic(hostId)
  const stored = { broker, routes, state, subscriptions, sessionLog, clock, clockQuality, metrics, ownTopic }
  const sparkplug = new SparkplugStore({
    edgeNodes: new EdgeNodes(parts.sparkplug, {
      ...sparkplugLimits,
      bytes: Math.min(sparkplugLimits.bytes, memory.limitBytes / 8),
    }),
    rebirths: new Rebirths(distribution, clock, metrics),
    state,
    routes,
    metrics,
    maxBytes: Math.max(settings['commit.max.bytes'], settings['max.message.bytes']),
  })
  const logger = parts.logger.child('mqtt')
  const told = { logger, clock, metrics }
  const store = new PublishStore({ ...stored, sparkplug, logger })
  const wills = new Wills({
    log: parts.state,
    view: parts.wills,
    store,
    distribution,
    memory: new MemoryShare(memory, shares.wills),
    clock,
    metrics,
  })
  const sessions = new Sessions({
    state,
    log: sessionLog,
    shareLog,
    outboundLog: new OutboundLog({ ...parts, log: parts.state, shareLog, work }),
    subscriptions,
    clock,
    metrics,
    queueMemory: new MemoryShare(memory, shares.queues),
    queueBytes: settings['mqtt.subscriber.max.bytes'],
    maxAbsent: settings['mqtt.sessions.max'],
    maxExpiryMs: settings['mqtt.session.expiry.max.ms'],
    ended: ({ clientId }) => wills.ended(clientId),
  })
  const traffic = new Traffic(metrics)
  const systemTopics = new SystemTopics({
    broker,
    sessions,
    subscriptions,
    retained: parts.retained,
    distribution,
    traffic,
    metrics,
    clock,
    intervalMs: settings['mqtt.sys.interval'],
  })
  return {
    broker,
    ingest: new Ingest({ ...stored, maxTopicLevels: settings['mqtt.topic.levels.max'] }),
    store,
    state,
    work,
    sessions,
    sessionLog,
    subscriptions,
    subscriptionRefusals: new RefusalLog(told, 'mqttRefused', 'mqtt subscription refused'),
    replays: new Replays(subscriptions, metrics),
    distribution,
    commands: new ResumedCommands(),
    wills,
    systemTopics,
    traffic,
    authentication: parts.authentication,
    gate: new ReadGate(memory, metrics, 'mqtt'),
    outbound: new OutboundLimit(memory, settings['mqtt.subscriber.max.bytes']),
    aliasMemory: new MemoryShare(memory, shares.aliases),
    closings: new RefusalLog(told, 'mqttRefusedConnections', 'mqtt connection closed'),
    clock,
    random,
    metrics,
    logger,
    limits: limitsOf(settings),
    denied: settings['mqtt.subscribe.deny'],
    hotPath: parts.hotPath ?? true,
  }
}
