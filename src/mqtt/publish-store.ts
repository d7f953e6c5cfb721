import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import { LineLimit } from '../broker/line-limit.ts'
import type { GroupNumber, PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Retained } from '../state/retained.ts'
import type { StateChange } from '../state/view.ts'
import { countForwarded, decodeForwarded } from '../wire/mqtt/publish-properties.ts'
import type { PublishState, Retention } from './publish-state.ts'
import { headerTemplate, withProperties } from './record-headers.ts'
import type { SessionLog } from './session-log.ts'
import { type SparkplugStore, sparkplugHeaders } from './sparkplug/sparkplug-store.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { TopicRoutes } from './topic-routes.ts'

/** A PUBLISH or a will that is to be stored. */
export interface StoredPublish {
  readonly clientId: string
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** 0: it has none; with QoS 2 it is held until PUBREL. */
  readonly packetId: number
  /** Forwarded properties as a section. */
  readonly properties: Buffer
  /** The gateway itself says it; whoever has its id for a client id does not. */
  readonly isOwn?: true
}

type RetainedPublish = Pick<StoredPublish, 'topic' | 'payload' | 'qos' | 'properties'>

/** Where a publish stands in the log. */
export interface Stored {
  /** With it the publish becomes durable; undefined: nothing of it is stored. */
  readonly group: GroupNumber | undefined
  /** Undefined: it is no record. */
  readonly partition: PartitionId | undefined
  readonly offset: number
}

export interface PublishStoreParts {
  readonly broker: Broker
  readonly routes: TopicRoutes
  readonly state: PublishState
  readonly subscriptions: Subscriptions
  readonly sessionLog: SessionLog
  readonly clock: Clock
  readonly clockQuality: () => ClockQuality
  readonly metrics: Metrics
  readonly logger: Logger
  readonly sparkplug: SparkplugStore
  /** Nobody but the gateway publishes to it; '': there is none. */
  readonly ownTopic: string
}

const nothingRetained: Retention = { change: undefined, isFull: false }
/** Characters of a topic in a log line. */
const maxTopicLength = 128

/**
 * Stores a publish with everything that it changes: record, retained state and QoS 2 packet id in one group. The hot path (`Ingest`) does the same for
 * what clients publish to stored topics.
 */
export class PublishStore {
  readonly #parts: PublishStoreParts
  readonly #lines: LineLimit<'retained full'>

  constructor(parts: PublishStoreParts) {
    this.#parts = parts
    this.#lines = new LineLimit(parts.clock)
  }

  /** With `more` in the same group. Throws `BrokerError`; then nothing was stored. */
  store(publish: StoredPublish, more: readonly StateChange[] = []): Stored {
    // [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
    const { change, isFull } = publish.retain ? this.retention(publish) : nothingRetained
    const stored = this.#store(publish, change === undefined ? more : [...more, change])
    if (isFull) this.notRetained(publish.topic)
    return stored
  }

  #store(publish: StoredPublish, more: readonly StateChange[]): Stored {
    const { routes, state, broker, clock, metrics, subscriptions, sessionLog, sparkplug, ownTopic } = this.#parts
    // neither publishes nor wills
    if (publish.topic.startsWith('$SYS/'))
      throw new BrokerError('notAuthorized', 'topics under $SYS belong to the broker')
    if (publish.topic === ownTopic && publish.isOwn !== true)
      throw new BrokerError('notAuthorized', 'the state of the host application is told by the gateway alone')
    const changes: StateChange[] = [...more]
    if (publish.qos === 2 && publish.packetId > 0) changes.push(state.hold(publish.clientId, publish.packetId))
    const open = routes.open(publish.topic)
    if (open === undefined) {
      const group = changes.length === 0 ? undefined : state.write(changes, [])
      return { group, partition: undefined, offset: -1 }
    }
    const { destination, topic } = open
    const timestampMs = clock.wallMs()
    const clockQuality = this.#parts.clockQuality()
    let routeHeaders = destination.headers
    if (destination.sparkplug !== undefined) {
      const made = sparkplug.store(publish, open, destination.sparkplug, changes, { timestampMs, clock: clockQuality })
      // no record is the publish itself: sessions keep copies of it, as of what is not stored
      if ('group' in made) return { group: made.group, partition: undefined, offset: -1 }
      routeHeaders = new Map([...routeHeaders, [sparkplugHeaders.error, made.undecoded]])
    }
    const index = routes.partitionFor(open)
    const partition = topic.partitions[index]!
    sessionLog.expect(subscriptions.audienceOf(publish.topic), publish.qos, partition)
    const { payload } = publish
    const template = headerTemplate({
      clientId: publish.clientId,
      mqttTopic: destination.keyIsTopic ? undefined : publish.topic,
      qos: publish.qos,
      retain: publish.retain,
      routeHeaders,
      clock: clockQuality,
    })
    const { properties } = publish
    const headers = withProperties(template, properties, 0, properties.length, countForwarded(properties))
    if (changes.length === 0) {
      const { key } = destination
      const offset = broker.appendRecord(topic, index, timestampMs, key, payload, 0, payload.length, headers)
      metrics.add('mqttStored')
      return { group: broker.openGroup, partition, offset }
    }
    const record = { partition, timestampMs, key: destination.key, value: payload, headers }
    const group = state.write(changes, [record])
    metrics.add('mqttStored')
    return { group, partition, offset: broker.offsets(partition).logEnd - 1 }
  }

  /** What a publish with the retain flag changes beside the log. */
  retention({ topic, payload, qos, properties: section }: RetainedPublish): Retention {
    const { state } = this.#parts
    const properties = decodeForwarded(section)
    const expirySeconds = properties?.messageExpiryInterval
    const retained: Retained = {
      payload,
      qos,
      ...(properties !== undefined && { properties: { ...properties } }),
      ...(expirySeconds !== undefined && { expiresLogAge: state.logAge + expirySeconds }),
    }
    return state.retain(topic, retained)
  }

  /** It was stored, but there was no room for it among those that are retained. */
  notRetained(topic: string): void {
    const { metrics, logger, state } = this.#parts
    metrics.add('mqttDropped', 1, 'retained full')
    const line = this.#lines.admit('retained full')
    if (line === undefined) return
    const { size: topics, bytes } = state.retained
    const why =
      'stored, but not retained: mqtt.retained.max, or what retained publishes may take of memory.budget, is reached'
    logger.warn({ topic: topic.slice(0, maxTopicLength), topics, bytes, why, ...line }, 'retained publish has no room')
  }
}
