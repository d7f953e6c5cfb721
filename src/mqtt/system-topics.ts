import type { Broker } from '../broker/broker.ts'
import type { Metrics } from '../core/metrics.ts'
import { version } from '../core/version.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { RetainedView } from '../state/retained.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import type { Distribution } from './distribution.ts'
import { LoadAverage, loadMinutes } from './load-average.ts'
import { Publication } from './publication.ts'
import type { Sessions } from './sessions.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Traffic } from './traffic.ts'

export interface SystemTopicsParts {
  readonly broker: Broker
  readonly sessions: Sessions
  readonly subscriptions: Subscriptions
  readonly retained: RetainedView
  readonly distribution: Distribution
  readonly traffic: Traffic
  readonly metrics: Metrics
  readonly clock: Clock
  /** 0: there are none. */
  readonly intervalMs: number
}

const noBytes = Buffer.alloc(0)

/**
 * The topics under `$SYS/broker` by which dashboards watch a broker, under Mosquitto's names. They are published every interval where they have
 * changed, and to a new subscriber at once; nothing is stored. While nobody subscribes to them only the averages are kept up.
 */
export class SystemTopics {
  readonly #parts: SystemTopicsParts
  readonly #startedMs: number
  readonly #loads: ReadonlyMap<string, { readonly average: LoadAverage; readonly total: () => number }>
  /** What subscribers were told last; undefined: nobody was there. */
  #shown: ReadonlyMap<string, string> | undefined
  #mostMemory = 0
  #timer: Timer | undefined

  constructor(parts: SystemTopicsParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.monotonicMs()
    const totals = loadTotals(parts)
    this.#loads = new Map([...totals].map(([name, total]) => [name, { average: new LoadAverage(), total }]))
  }

  start(): void {
    const { clock, intervalMs } = this.#parts
    if (intervalMs === 0) return
    this.#timer = clock.after(intervalMs, () => {
      this.#tick()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** For a new subscription: the present values of the topics that its filter matches. */
  matching(filter: string): Publication[] {
    if (this.#parts.intervalMs === 0) return []
    this.#shown ??= this.#values()
    return [...this.#shown]
      .filter(([topic]) => filterMatches(filter, topic))
      .map(([topic, value]) => this.#publicationOf(topic, value))
  }

  #tick(): void {
    const { subscriptions, distribution, intervalMs } = this.#parts
    for (const { average, total } of this.#loads.values()) average.update(total(), intervalMs / 1000)
    if (!subscriptions.hasSystemFilters) {
      this.#shown = undefined
      return
    }
    const before = this.#shown
    this.#shown = this.#values()
    for (const [topic, value] of this.#shown)
      if (before?.get(topic) !== value) distribution.publish(this.#publicationOf(topic, value), undefined)
  }

  /** QoS 0: the next value follows soon. */
  #publicationOf(topic: string, value: string): Publication {
    return new Publication({
      topic,
      payload: Buffer.from(value),
      qos: 0,
      retain: true,
      properties: noBytes,
      publisher: '',
      receivedMs: this.#parts.clock.monotonicMs(),
    })
  }

  #values(): ReadonlyMap<string, string> {
    const { broker, clock } = this.#parts
    const memory = broker.memory.usedBytes
    this.#mostMemory = Math.max(this.#mostMemory, memory)
    const values = {
      version: `brooklet version ${version}`,
      uptime: `${Math.floor((clock.monotonicMs() - this.#startedMs) / 1000)} seconds`,
      ...clientCounts(this.#parts),
      ...trafficCounts(this.#parts),
      ...storeCounts(this.#parts),
      'heap/current': memory,
      'heap/maximum': this.#mostMemory,
    }
    const shown = new Map(Object.entries(values).map(([name, value]) => [`$SYS/broker/${name}`, String(value)]))
    for (const [name, { average }] of this.#loads)
      for (const [index, minutes] of loadMinutes.entries())
        shown.set(`$SYS/broker/load/${name}/${minutes}min`, average.averages[index]!.toFixed(2))
    return shown
  }
}

const clientCounts = ({ sessions, traffic, metrics }: SystemTopicsParts) => {
  const { connectedCount, absentCount } = sessions
  return {
    'clients/connected': connectedCount,
    'clients/disconnected': absentCount,
    // the names before Mosquitto 1.4, which dashboards still read
    'clients/active': connectedCount,
    'clients/inactive': absentCount,
    'clients/total': connectedCount + absentCount,
    'clients/maximum': traffic.mostConnected,
    'clients/expired': metrics.count('mqttSessionsExpired'),
  }
}

const trafficCounts = ({ traffic, metrics }: SystemTopicsParts) => ({
  'messages/received': traffic.packetsReceived,
  'messages/sent': traffic.packetsSent,
  'publish/messages/received': metrics.count('mqttReceived'),
  'publish/messages/sent': traffic.publishesSent,
  'publish/messages/dropped': metrics.count('mqttDropped'),
  'publish/bytes/received': traffic.payloadBytesReceived,
  'publish/bytes/sent': traffic.payloadBytesSent,
  'bytes/received': traffic.bytesReceived,
  'bytes/sent': traffic.bytesSent,
})

/** Mosquitto's store is its memory; ours is the log: all records that it holds of topics. */
const storeCounts = ({ broker, retained, subscriptions }: SystemTopicsParts) => {
  let records = 0
  let bytes = 0
  for (const { partitions } of broker.topics.all()) {
    for (const partition of partitions) {
      const { logStart, highWatermark } = broker.offsets(partition)
      records += highWatermark - logStart
      bytes += broker.sizeBytes(partition)
    }
  }
  return {
    'messages/stored': records,
    'store/messages/count': records,
    'store/messages/bytes': bytes,
    'retained messages/count': retained.size,
    'subscriptions/count': subscriptions.size,
    'shared_subscriptions/count': subscriptions.sharedSize,
  }
}

const loadTotals = ({ traffic, metrics }: SystemTopicsParts): ReadonlyMap<string, () => number> =>
  new Map([
    ['messages/received', () => traffic.packetsReceived],
    ['messages/sent', () => traffic.packetsSent],
    ['publish/received', () => metrics.count('mqttReceived')],
    ['publish/sent', () => traffic.publishesSent],
    ['publish/dropped', () => metrics.count('mqttDropped')],
    ['bytes/received', () => traffic.bytesReceived],
    ['bytes/sent', () => traffic.bytesSent],
    ['sockets', () => traffic.sockets],
    ['connections', () => traffic.connects],
  ])
