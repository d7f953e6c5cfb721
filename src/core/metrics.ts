import { assert } from './assert.ts'
import { downlinkMetrics } from './downlink-metrics.ts'
import { Histogram } from './histogram.ts'
import { remoteMetrics } from './remote-metrics.ts'
import { uplinkMetrics } from './uplink-metrics.ts'

type MetricRow = {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly label?: string
  /** Of a histogram: the upper bounds of what it tells apart, rising. */
  readonly bounds?: readonly number[]
}

/**
 * Every metric: `/metrics`, the reference page and the code take name, type, help and label from here.
 * A counter only rises; a gauge is sampled when it is read; a histogram counts values.
 */
export const metricTable = {
  // storage
  storageGroups: { name: 'storage_groups_total', type: 'counter', help: 'Groups synced to the device' },
  storageSyncs: {
    name: 'storage_syncs_total',
    type: 'counter',
    help: 'Commits to the device; one syncs many groups of topics with durability=relaxed',
  },
  storageGroupBytes: {
    name: 'storage_group_bytes_total',
    type: 'counter',
    help: 'Bytes of groups handed to the device, padding included',
  },
  storageRecords: {
    name: 'storage_records_total',
    type: 'counter',
    help: 'Records made durable, internal ones included',
  },
  storageCommitMicros: {
    name: 'storage_commit_microseconds_total',
    type: 'counter',
    help: 'Time spent in commits, write and sync',
  },
  storageTornTails: { name: 'storage_torn_tails_total', type: 'counter', help: 'Torn tails cut at start' },
  storageDamages: { name: 'storage_damages_total', type: 'counter', help: 'Damaged ranges found', label: 'cause' },
  storageQuarantined: {
    name: 'storage_quarantined_total',
    type: 'counter',
    help: 'Slots kept aside because of damage',
  },
  storageQuarantineDropped: {
    name: 'storage_quarantine_dropped_total',
    type: 'counter',
    help: 'Slots kept aside that were deleted because their space was needed',
  },
  storageEvictedBytes: {
    name: 'storage_evicted_bytes_total',
    type: 'counter',
    help: 'Bytes of batches that left the log',
    label: 'reason',
  },
  storageEvictedRecords: {
    name: 'storage_evicted_records_total',
    type: 'counter',
    help: 'Records that left the log',
    label: 'reason',
  },
  storageUnreadRecords: {
    name: 'storage_unread_records_total',
    type: 'counter',
    help: 'Records that retention or the disk budget took before every consumer group of their partition had read them',
    label: 'class',
  },
  storageGaps: { name: 'storage_gaps_total', type: 'counter', help: 'Gap records written', label: 'reason' },
  storageCleanings: { name: 'storage_cleanings_total', type: 'counter', help: 'Cold segments written by the cleaner' },
  storageCleanedSegments: {
    name: 'storage_cleaned_segments_total',
    type: 'counter',
    help: 'Segments whose live batches the cleaner copied',
  },
  storageCleaningBytes: {
    name: 'storage_cleaning_bytes_total',
    type: 'counter',
    help: 'Bytes written by the cleaner; with storage_group_bytes_total, over that alone: its write amplification',
  },
  storageCompactions: {
    name: 'storage_compactions_total',
    type: 'counter',
    help: 'Passes of compaction over a partition, those included that found nothing to remove',
  },
  storageCompactedRecords: {
    name: 'storage_compacted_records_total',
    type: 'counter',
    help: 'Records removed by compaction',
    label: 'reason',
  },
  storageCompactionSkipped: {
    name: 'storage_compaction_skipped_total',
    type: 'counter',
    help: 'Batches that compaction left as they are: they cannot be unpacked, or to too much',
  },
  storageFull: {
    name: 'storage_full_total',
    type: 'counter',
    help: 'Appends refused because no slot could be prepared',
  },
  storageFailures: {
    name: 'storage_failures_total',
    type: 'counter',
    help: 'Errors in the commit path; the first one ends writing',
  },
  storageSlots: { name: 'storage_slots', type: 'gauge', help: 'Slots by kind', label: 'kind' },
  storageBytes: { name: 'storage_bytes', type: 'gauge', help: 'Bytes in use of the disk budget', label: 'part' },
  storageBlockCacheHits: {
    name: 'storage_block_cache_hits_total',
    type: 'counter',
    help: 'Block reads served from memory',
  },
  storageBlockCacheMisses: {
    name: 'storage_block_cache_misses_total',
    type: 'counter',
    help: 'Block reads that went to the device',
  },
  // wear
  wearWrittenBytes: {
    name: 'wear_written_bytes',
    type: 'gauge',
    help: 'Bytes written since the start: by all programs to the device under data.dir, by this process as Linux counts it, and to the log; absent where nobody counts',
    label: 'counted',
  },
  wearBytesPerDay: {
    name: 'wear_bytes_per_day',
    type: 'gauge',
    help: 'Bytes a day written to the device at the rate of the last hour or day; absent where the device is not counted',
    label: 'window',
  },
  wearBytesPerEvent: {
    name: 'wear_bytes_per_event',
    type: 'gauge',
    help: 'Bytes written to the device for each record stored in the last hour or day; absent where the device is not counted',
    label: 'window',
  },
  wearLingerMs: {
    name: 'wear_linger_milliseconds',
    type: 'gauge',
    help: 'Linger in effect: commit.linger.ms, stretched by wear.budget.per.day',
  },
  wearBudgetExceeded: {
    name: 'wear_budget_exceeded',
    type: 'gauge',
    help: '1 while more is written than wear.budget.per.day allows, even with commit.linger.max.ms',
  },
  wearCardYears: {
    name: 'wear_card_years',
    type: 'gauge',
    help: 'Years until wear.card.bytes are written wear.card.cycles times at the present rate; absent while it is unknown',
  },
  // time
  clockQuality: {
    name: 'clock_quality',
    type: 'gauge',
    help: '1 for what is known of the wall clock: synchronised, unknown or stepped',
    label: 'quality',
  },
  clockSteps: {
    name: 'clock_steps_total',
    type: 'counter',
    help: 'Jumps of the wall clock of more than a second',
    label: 'direction',
  },
  // memory
  memoryUsedBytes: { name: 'memory_used_bytes', type: 'gauge', help: 'Bytes held of memory.budget' },
  memoryPauses: {
    name: 'memory_pauses_total',
    type: 'counter',
    help: 'Times a front stopped reading because memory.budget was out',
    label: 'front',
  },
  // listeners
  tlsCertificateExpiry: {
    name: 'tls_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'When the certificate that TLS listeners show expires, in seconds since 1970',
    label: 'certificate',
  },
  tlsRenewals: {
    name: 'tls_renewals_total',
    type: 'counter',
    help: 'Certificate files that changed and were taken, or refused because they do not fit together',
    label: 'result',
  },
  // kafka
  kafkaConnections: { name: 'kafka_connections', type: 'gauge', help: 'Open Kafka connections' },
  kafkaRequests: { name: 'kafka_requests_total', type: 'counter', help: 'Kafka requests answered', label: 'api' },
  kafkaErrors: { name: 'kafka_errors_total', type: 'counter', help: 'Errors answered to Kafka clients', label: 'kind' },
  kafkaRefusedConnections: {
    name: 'kafka_refused_connections_total',
    type: 'counter',
    help: 'Kafka connections closed by us',
    label: 'reason',
  },
  kafkaBytesIn: { name: 'kafka_received_bytes_total', type: 'counter', help: 'Bytes read from Kafka connections' },
  kafkaBytesOut: { name: 'kafka_sent_bytes_total', type: 'counter', help: 'Bytes written to Kafka connections' },
  // mqtt
  mqttConnections: { name: 'mqtt_connections', type: 'gauge', help: 'Connected MQTT clients' },
  mqttReceived: { name: 'mqtt_received_total', type: 'counter', help: 'PUBLISH packets received', label: 'qos' },
  mqttSent: { name: 'mqtt_sent_total', type: 'counter', help: 'PUBLISH packets sent to subscribers' },
  mqttPacketsIn: {
    name: 'mqtt_received_packets_total',
    type: 'counter',
    help: 'MQTT packets received, of all types',
  },
  mqttPacketsOut: { name: 'mqtt_sent_packets_total', type: 'counter', help: 'MQTT packets sent, of all types' },
  mqttBytesIn: { name: 'mqtt_received_bytes_total', type: 'counter', help: 'Bytes read from MQTT connections' },
  mqttBytesOut: { name: 'mqtt_sent_bytes_total', type: 'counter', help: 'Bytes written to MQTT connections' },
  mqttSessionsExpired: {
    name: 'mqtt_sessions_expired_total',
    type: 'counter',
    help: 'Sessions of absent clients that ended because their time was over',
  },
  mqttAcked: { name: 'mqtt_acked_total', type: 'counter', help: 'PUBACK and PUBREC sent after the record was synced' },
  mqttStored: { name: 'mqtt_stored_total', type: 'counter', help: 'Records appended from MQTT' },
  mqttRefused: { name: 'mqtt_refused_total', type: 'counter', help: 'Publishes refused', label: 'reason' },
  mqttDropped: {
    name: 'mqtt_dropped_total',
    type: 'counter',
    help: 'Publishes dropped without an answer (QoS 0) or for a slow subscriber',
    label: 'reason',
  },
  mqttDelivered: {
    name: 'mqtt_delivered_total',
    type: 'counter',
    help: 'Records that a deliver rule published to subscribers',
    label: 'topic',
  },
  mqttRatePauses: {
    name: 'mqtt_rate_pauses_total',
    type: 'counter',
    help: 'Times a client had to wait because of mqtt.publish.rate.max or mqtt.publish.bytes.rate.max',
  },
  mqttRefusedConnections: {
    name: 'mqtt_refused_connections_total',
    type: 'counter',
    help: 'MQTT connections closed by us',
    label: 'reason',
  },
  // sparkplug
  sparkplugRecords: {
    name: 'sparkplug_records_total',
    type: 'counter',
    help: 'Records made of Sparkplug payloads: a metric each, and births and deaths',
  },
  sparkplugUndecoded: {
    name: 'sparkplug_undecoded_total',
    type: 'counter',
    help: 'Sparkplug payloads stored as they came, because their metrics could not be told',
    label: 'reason',
  },
  sparkplugRebirths: {
    name: 'sparkplug_rebirths_total',
    type: 'counter',
    help: 'Times an edge node was asked for its birth certificates',
    label: 'reason',
  },
  sparkplugForgotten: {
    name: 'sparkplug_forgotten_total',
    type: 'counter',
    help: 'Births that were not remembered because too many others are alive: what their aliases stand for is not known',
  },
  // producers
  producersDropped: {
    name: 'producers_dropped_total',
    type: 'counter',
    help: 'Idempotent producers forgotten because there were too many; a repeat by one of them would be stored twice',
  },
  // consumer groups
  groupsRebalances: { name: 'group_rebalances_total', type: 'counter', help: 'Rebalances completed' },
  groupsExpiredMembers: {
    name: 'group_expired_members_total',
    type: 'counter',
    help: 'Members removed because they went silent',
    label: 'timer',
  },
  groupsCommits: { name: 'group_commits_total', type: 'counter', help: 'Offsets committed' },
  groupsExpiredOffsets: {
    name: 'group_expired_offsets_total',
    type: 'counter',
    help: 'Committed offsets dropped after offsets.retention.minutes',
  },
  groupsRefused: {
    name: 'group_refused_total',
    type: 'counter',
    help: 'Joins and commits refused because a limit of groups was reached',
    label: 'limit',
  },
  groupsMembers: { name: 'group_members', type: 'gauge', help: 'Members of all consumer groups' },
  // views
  viewRebuilds: {
    name: 'view_rebuilds_total',
    type: 'counter',
    help: 'Views rebuilt from the log because no checkpoint could be used',
    label: 'view',
  },
  // http
  httpRequests: { name: 'http_requests_total', type: 'counter', help: 'HTTP requests answered', label: 'status' },
  ...uplinkMetrics,
  ...downlinkMetrics,
  ...remoteMetrics,
} as const satisfies Record<string, MetricRow>

export type MetricKey = keyof typeof metricTable

type Sample = { readonly name: string; readonly labels: string; readonly value: number }

/** Values of all metrics of one gateway. Label values come from closed sets of ours, never from peers without a bound. */
export class Metrics {
  readonly #counters = new Map<string, Map<string, number>>()
  readonly #gauges = new Map<MetricKey, () => ReadonlyMap<string, number> | number>()
  readonly #sampled = new Map<MetricKey, () => number>()
  readonly #histograms = new Map<MetricKey, Histogram>()

  add(key: MetricKey, by = 1, label = ''): void {
    let values = this.#counters.get(key)
    if (values === undefined) this.#counters.set(key, (values = new Map()))
    values.set(label, (values.get(label) ?? 0) + by)
  }

  /** Present value of a counter, over all labels unless one is named. */
  count(key: MetricKey, label?: string): number {
    const values = this.#counters.get(key)
    if (values === undefined) return this.#sampled.get(key)?.() ?? 0
    if (label !== undefined) return values.get(label) ?? 0
    let sum = 0
    for (const value of values.values()) sum += value
    return sum
  }

  /** Says how a counter is read that changes too often for `add`; it has no label. */
  sample(key: MetricKey, read: () => number): void {
    assert(metricTable[key].type === 'counter', `${key} is a counter`)
    this.#sampled.set(key, read)
  }

  /** Says how a gauge is read; with a label, `sample` returns a value per label. */
  gauge(key: MetricKey, sample: () => ReadonlyMap<string, number> | number): void {
    assert(metricTable[key].type === 'gauge', `${key} is a gauge`)
    this.#gauges.set(key, sample)
  }

  /** So many times this value, in the unit that the name of the histogram says. */
  observe(key: MetricKey, value: number, times = 1): void {
    this.#histogram(key).observe(value, times)
  }

  /** Everything in Prometheus' text format, prefix `brooklet_`. A counter never touched shows as 0. */
  text(): string {
    const lines: string[] = []
    for (const [key, row] of Object.entries(metricTable) as [MetricKey, MetricRow][]) {
      lines.push(`# HELP brooklet_${row.name} ${row.help}`, `# TYPE brooklet_${row.name} ${row.type}`)
      for (const { name, labels, value } of this.#samples(key, row)) lines.push(`brooklet_${name}${labels} ${value}`)
    }
    return `${lines.join('\n')}\n`
  }

  #histogram(key: MetricKey): Histogram {
    const { bounds }: MetricRow = metricTable[key]
    assert(bounds !== undefined, `${key} is a histogram`)
    let found = this.#histograms.get(key)
    if (found === undefined) this.#histograms.set(key, (found = new Histogram(bounds)))
    return found
  }

  #samples(key: MetricKey, row: MetricRow): Sample[] {
    if (row.type === 'histogram') {
      const samples = [...this.#histogram(key).samples()]
      return samples.map(({ suffix, ...sample }) => ({ name: `${row.name}${suffix}`, ...sample }))
    }
    const read = this.#gauges.get(key) ?? this.#sampled.get(key)
    const sampled = read?.() ?? this.#counters.get(key) ?? 0
    const values = typeof sampled === 'number' ? new Map([['', sampled]]) : sampled
    return [...values].map(([label, value]) => ({
      name: row.name,
      labels: row.label === undefined || label === '' ? '' : `{${row.label}="${label.replaceAll(/["\\\n]/g, '_')}"}`,
      value,
    }))
  }
}
