import { retentionClasses } from './metered-windows.ts'
import { bytes, DAY_MS, duration, GiB, HOUR_MS, integer, KiB, LONG_MAX, MINUTE_MS, MiB, ratio } from './quantities.ts'
import type { SettingKey } from './settings.ts'
import { boolean, listOf, oneOf, text, type ValueType } from './value-types.ts'

/** `enforced`: it does what it says. `accepted`: stored and described, so that tools work, but without effect here. */
export type Effect = 'enforced' | 'accepted'

/** One row of the table of topic configs. */
export interface TopicConfig<Value> {
  readonly type: ValueType<Value>
  /** The default, unless `setting` gives it. */
  readonly fallback: Value
  readonly effect: Effect
  readonly docs: string
  /** Kafka's name of the broker config that is the default; absent when Kafka has none. */
  readonly broker?: string
  /** The gateway's setting that is the default. */
  readonly setting?: SettingKey
}

interface Links {
  readonly broker?: string
  readonly setting?: SettingKey
}

const define =
  (effect: Effect) =>
  <Value>(type: ValueType<Value>, fallback: NoInfer<Value>, docs: string, links: Links = {}): TopicConfig<Value> => ({
    type,
    fallback,
    effect,
    docs,
    ...links,
  })

const enforced = define('enforced')
const accepted = define('accepted')

const forever = Number.POSITIVE_INFINITY
const throttledReplicas = listOf(text(/^(\*|\d+:\d+)$/, '`*` or `PARTITION:BROKER`'))
const noSegmentsOfItsOwn = 'All partitions share the segments of one commit log.'
const syncedAnyway = 'Records are synced before they are acknowledged; see `durability`.'
const noReplicas = 'A gateway has no replicas.'
const noTiers = 'A gateway has no tiered storage; the uplink replicates topics to the central cluster.'
const notRecompressed = 'Batches are stored as the producer compressed them.'

/** Every topic config of Apache Kafka 4.3, and two of Brooklet's own. Names, types and bounds are Kafka's. */
const topicConfigTable = {
  'cleanup.policy': enforced(
    listOf(oneOf(['delete', 'compact'])),
    ['delete'],
    'Whether old records go by age and size, or once a newer record has their key. With `compact` every record needs a key, and the newest record of a key stays for ever unless `delete` is there too.',
    { broker: 'log.cleanup.policy' },
  ),
  'compression.type': accepted(
    oneOf(['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']),
    'producer',
    notRecompressed,
    { broker: 'compression.type' },
  ),
  'compression.gzip.level': accepted(integer({ min: -1, max: 9 }), -1, notRecompressed, {
    broker: 'compression.gzip.level',
  }),
  'compression.lz4.level': accepted(integer({ min: 1, max: 17 }), 9, notRecompressed, {
    broker: 'compression.lz4.level',
  }),
  'compression.zstd.level': accepted(integer({ min: -131_072, max: 22 }), 3, notRecompressed, {
    broker: 'compression.zstd.level',
  }),
  'delete.retention.ms': enforced(
    duration(),
    DAY_MS,
    'How long a tombstone of a compacted topic stays after the older records of its key were removed, by the life of the log.',
    { broker: 'log.cleaner.delete.retention.ms' },
  ),
  durability: enforced(
    oneOf(['commit', 'relaxed']),
    'commit',
    'When a record is acknowledged: `commit`: once it is synced to flash; `relaxed`: once the kernel has it. The sync of relaxed records follows within `relaxed.sync.ms`; until then nobody reads them, and a power cut may take them.',
  ),
  'file.delete.delay.ms': accepted(duration(), MINUTE_MS, noSegmentsOfItsOwn, {
    broker: 'log.segment.delete.delay.ms',
  }),
  'flush.messages': accepted(integer({ min: 1, unlimited: LONG_MAX, configType: 'LONG' }), forever, syncedAnyway, {
    broker: 'log.flush.interval.messages',
  }),
  'flush.ms': accepted(duration({ unlimited: LONG_MAX }), forever, syncedAnyway, { broker: 'log.flush.interval.ms' }),
  'follower.replication.throttled.replicas': accepted(throttledReplicas, [], noReplicas),
  'index.interval.bytes': accepted(bytes({ configType: 'INT' }), 4 * KiB, noSegmentsOfItsOwn, {
    broker: 'log.index.interval.bytes',
  }),
  'leader.replication.throttled.replicas': accepted(throttledReplicas, [], noReplicas),
  'local.retention.bytes': accepted(bytes({ min: -2 }), -2, noTiers, { broker: 'log.local.retention.bytes' }),
  'local.retention.ms': accepted(duration({ min: -2 }), -2, noTiers, { broker: 'log.local.retention.ms' }),
  'max.compaction.lag.ms': enforced(
    duration({ min: 1, unlimited: LONG_MAX }),
    forever,
    'Longest time until compaction looks at a record, whatever the dirty ratio is. It ends the active segment when it has to: short times cost wear.',
    { broker: 'log.cleaner.max.compaction.lag.ms' },
  ),
  'max.message.bytes': enforced(
    bytes({ max: 32 * MiB, configType: 'INT' }),
    MiB,
    "Largest record batch, after compression. At most the gateway's `max.message.bytes`.",
    { broker: 'message.max.bytes', setting: 'max.message.bytes' },
  ),
  'message.timestamp.after.max.ms': enforced(
    duration({ unlimited: LONG_MAX }),
    forever,
    "How far a record timestamp may lie after the gateway's clock.",
    { broker: 'log.message.timestamp.after.max.ms', setting: 'message.timestamp.after.max.ms' },
  ),
  'message.timestamp.before.max.ms': enforced(
    duration({ unlimited: LONG_MAX }),
    forever,
    "How far a record timestamp may lie before the gateway's clock.",
    { broker: 'log.message.timestamp.before.max.ms', setting: 'message.timestamp.before.max.ms' },
  ),
  'message.timestamp.type': enforced(
    oneOf(['CreateTime', 'LogAppendTime']),
    'CreateTime',
    'Whether records keep the timestamp of the producer or get that of the append.',
    { broker: 'log.message.timestamp.type', setting: 'message.timestamp.type' },
  ),
  'min.cleanable.dirty.ratio': enforced(
    ratio,
    0.5,
    'Part of the bytes of a partition that must be new since its last compaction before the next one.',
    { broker: 'log.cleaner.min.cleanable.ratio' },
  ),
  'min.compaction.lag.ms': enforced(
    duration(),
    0,
    'Shortest time for which a record stays whatever comes after it, by the life of the log.',
    { broker: 'log.cleaner.min.compaction.lag.ms' },
  ),
  'min.insync.replicas': enforced(
    integer({ min: 1, max: 2 }),
    1,
    '2 means this gateway and the central cluster: acks=all, PUBACK and PUBREC wait until the uplink has brought the records there, and are refused while it is not in sync (`replica.lag.time.max.ms`). Only for topics that go up.',
    { broker: 'min.insync.replicas' },
  ),
  preallocate: accepted(boolean, false, `${noSegmentsOfItsOwn} See the setting \`disk.reserve\`.`, {
    broker: 'log.preallocate',
  }),
  'remote.copy.lag.bytes': accepted(bytes({ min: -1 }), 0, noTiers),
  'remote.copy.lag.ms': accepted(duration({ min: -1 }), 0, noTiers),
  'remote.log.copy.disable': accepted(boolean, false, noTiers),
  'remote.log.delete.on.disable': accepted(boolean, false, noTiers),
  'remote.storage.enable': accepted(boolean, false, noTiers),
  'retention.bytes': enforced(
    bytes({ unlimited: '-1' }),
    forever,
    'Bytes of a partition beyond which its oldest records leave the log.',
    { broker: 'log.retention.bytes', setting: 'retention.bytes' },
  ),
  'retention.class': enforced(
    oneOf(retentionClasses),
    'normal',
    'What goes first when the disk budget is used up: bulk, then what every consumer group of the partition has read, then normal, then critical; of equals the oldest.',
  ),
  'retention.ms': enforced(
    duration({ unlimited: '-1' }),
    7 * DAY_MS,
    'Age at which records leave the log, by the life of the log and not by their timestamps.',
    { broker: 'log.retention.ms', setting: 'retention.ms' },
  ),
  'segment.bytes': accepted(bytes({ min: 14, max: 2 * GiB, configType: 'INT' }), GiB, noSegmentsOfItsOwn, {
    broker: 'log.segment.bytes',
  }),
  'segment.index.bytes': accepted(bytes({ min: 4, configType: 'INT' }), 10 * MiB, noSegmentsOfItsOwn, {
    broker: 'log.index.size.max.bytes',
  }),
  'segment.jitter.ms': accepted(duration(), 0, noSegmentsOfItsOwn, { broker: 'log.roll.jitter.ms' }),
  'segment.ms': accepted(duration({ min: 1 }), 7 * 24 * HOUR_MS, noSegmentsOfItsOwn, { broker: 'log.roll.ms' }),
  'unclean.leader.election.enable': accepted(boolean, false, noReplicas, { broker: 'unclean.leader.election.enable' }),
} as const

export type TopicConfigKey = keyof typeof topicConfigTable

type ValueOf<Row> = Row extends TopicConfig<infer Value> ? Value : never

/** All configs of one topic. Byte sizes are bytes, times milliseconds, `Infinity` is "no limit". */
export type TopicConfigValues = { readonly [Key in TopicConfigKey]: ValueOf<(typeof topicConfigTable)[Key]> }

export const topicConfigKeys = Object.keys(topicConfigTable) as readonly TopicConfigKey[]

/** The row without the type of its value, for code that goes through all rows. */
export const topicConfigRow = (key: TopicConfigKey): TopicConfig<unknown> =>
  topicConfigTable[key] as unknown as TopicConfig<unknown>
