import type { ListenAddress } from '../platform/network.ts'
import { bytes, duration, HOUR_MS, integer, KiB, MINUTE_MS, MiB, SECOND_MS } from './quantities.ts'
import { row } from './setting-row.ts'
import { parseTemplate, type Template } from './template.ts'
import { topicPatternSyntax } from './topic-pattern.ts'
import { uplinkScheduleSettings } from './uplink-schedule.ts'
import { boolean, listOf, oneOf, quoted, text, type ValueType, wrong } from './value-types.ts'

const topicName = /^[A-Za-z0-9._-]{1,249}$/

/** `host:port` of a broker, an IPv6 address in brackets. */
const brokerAddress: ValueType<ListenAddress> = {
  configType: 'STRING',
  shape: '`HOST:PORT`',
  parse(value) {
    const [, bracketed, name, digits] = /^(?:\[([^\]\s]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(value.trim()) ?? []
    const host = bracketed ?? name
    const port = Number(digits)
    if (host !== undefined && port > 0 && port < 65_536) return { value: { host, port } }
    return wrong(
      `${quoted(value)} is not HOST:PORT`,
      /^[^\s:/]+$/.test(value.trim()) ? `${value.trim()}:9092` : undefined,
    )
  },
  format: formatAddress,
  formatPlain: formatAddress,
}

function formatAddress({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Name of a topic upstream; the placeholders are filled in per topic. */
const topicTemplate: ValueType<Template> = {
  configType: 'STRING',
  shape: 'a topic name with `{topic}` and `{gateway}`',
  parse(value) {
    const parsed = parseTemplate(value, ['topic', 'gateway'])
    if ('problems' in parsed) return parsed
    const sample = parsed.value.parts.map(part => ('literal' in part ? part.literal : 'x')).join('')
    return topicName.test(sample) ? parsed : wrong(`${quoted(value)} does not make topic names`, '{topic}')
  },
  format: ({ text: whole }) => whole,
  formatPlain: ({ text: whole }) => whole,
}

const topicPatterns = listOf(text(topicPatternSyntax, 'a topic name; `*` stands for any characters'))
const wholeTopic: Template = { text: '{topic}', parts: [{ name: 'topic' }] }
const noAddresses: readonly ListenAddress[] = []
const noPatterns: readonly string[] = []

/** Rows of the settings table about the way up to the central cluster. Names behind `uplink.` are those of Kafka's clients where they have one. */
export const uplinkSettings = {
  'uplink.bootstrap.servers': row(
    listOf(brokerAddress),
    noAddresses,
    'Brokers of the central cluster to ask first; empty = no uplink',
  ),
  'uplink.topics': row(topicPatterns, ['*'], 'Topics that go up', {
    docs: '`*` in a name stands for any characters. A topic whose name begins with `__` goes up only when it is named in full.',
  }),
  'uplink.topics.exclude': row(topicPatterns, noPatterns, 'Topics that do not go up, whatever uplink.topics says'),
  'uplink.rename': row(topicTemplate, wholeTopic, 'Name of a topic upstream', {
    docs: '`{topic}` is its name here, `{gateway}` is `gateway.id`.',
  }),
  'uplink.partitions': row(
    integer({ max: 10_000 }),
    0,
    'Partitions of topics that the uplink creates; 0 = as many as here',
    {
      docs:
        'Where a topic has as many partitions there as here, partition goes to partition. Otherwise each record goes where murmur2 of its key says, ' +
        'as Java clients compute it; records without key of one partition stay together.',
    },
  ),
  'uplink.replication.factor': row(
    integer({ min: -1, max: 100 }),
    -1,
    'Replicas of topics that the uplink creates; -1 = as the cluster has it',
  ),
  'uplink.headers': row(oneOf(['auto', 'none', 'gateway', 'full']), 'auto', 'Headers that say where a record is from', {
    docs:
      '`gateway`: its `gateway.id`. `full`: also log id, topic and its id, partition, offset and incarnation; so it always is without transactions. `auto`: `gateway`, but `none` when ' +
      '`uplink.rename` has `{gateway}`. With `none`, large batches go up as they are stored; a header means that they are written anew.',
  }),
  'uplink.compression.type': row(
    oneOf(['none', 'gzip', 'snappy', 'lz4', 'zstd']),
    'zstd',
    'Compression of batches that are written anew',
  ),
  'uplink.batch.size': row(
    bytes({ min: KiB, max: 16 * MiB }),
    512 * KiB,
    'Bytes of records that are merged into one batch, before compression',
    { docs: 'Less than `max.message.bytes` of the topics upstream. A record that is larger goes alone.' },
  ),
  'uplink.linger.ms': row(duration({ max: MINUTE_MS }), 20, 'Wait for more records before they are sent', {
    docs: 'Longer on a metered link: each round of sending costs some 1,500 bytes beside its records.',
  }),
  'uplink.request.timeout.ms': row(
    duration({ min: SECOND_MS, max: 10 * MINUTE_MS }),
    15 * SECOND_MS,
    'After this without an answer a connection to the central cluster is given up',
  ),
  'uplink.transaction.timeout.ms': row(
    duration({ min: SECOND_MS, max: 15 * MINUTE_MS }),
    30 * SECOND_MS,
    'After this the central cluster aborts what a lost link left unfinished',
    { docs: 'So long, and some 10 s more, readers of committed records there may have to wait.' },
  ),
  'uplink.exactly.once': row(
    oneOf(['preferred', 'required']),
    'preferred',
    'What cannot go up exactly once: goes up at least once, or waits',
    {
      docs:
        'Exactly once takes transactions (WRITE on the transactional id, which is the log id) or, without them, READ on the topics upstream. `uplink status` says ' +
        'which of them there is, and what is missing.',
    },
  ),
  'uplink.retry.backoff.ms': row(
    duration({ min: 10, max: MINUTE_MS }),
    500,
    'Pause before the first new attempt; each later one is twice as long',
  ),
  'uplink.retry.backoff.max.ms': row(
    duration({ min: 10, max: HOUR_MS }),
    30 * SECOND_MS,
    'Longest pause between attempts',
  ),
  'replica.lag.time.max.ms': row(
    duration({ min: 10, max: HOUR_MS }),
    10 * SECOND_MS,
    'How long the central cluster counts as in sync after it last had everything',
    {
      docs:
        'For topics with `min.insync.replicas=2`. After so long without a link, or with a backlog that is older, acks=all gets NOT_ENOUGH_REPLICAS ' +
        'and nothing is appended.',
      kafka: 'replica.lag.time.max.ms',
    },
  ),
  'uplink.positions.topic': row(
    text(topicName, 'a topic name'),
    '__brooklet_positions',
    'Compacted topic upstream that holds how far each gateway has sent',
    { docs: 'Created when it is missing. One for all gateways of a cluster.' },
  ),
  'remote.read': row(boolean, false, 'Serve from the central cluster what has left the log here', {
    docs:
      'Consumers that begin at the start of a topic, or at an offset below its local start, get what the central cluster still has, with the offsets, headers and times that it ' +
      'had here. Needs `uplink.headers=full`: only what went up with its names can be found. `uplink status` says from where on each partition can be read.',
  }),
  ...uplinkScheduleSettings,
} as const
