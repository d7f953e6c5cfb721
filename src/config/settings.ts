import { type DeliverRule, deliver } from './deliver.ts'
import { downlinkSettings } from './downlink-settings.ts'
import { formatListenUrl, httpSchemes, kafkaSchemes, type ListenUrl, listenUrl, mqttSchemes } from './listen-url.ts'
import { type ListenerRules, listeners } from './listener-rules.ts'
import { listenerSettings } from './listener-settings.ts'
import { mqttSettings } from './mqtt-settings.ts'
import {
  bytes,
  DAY_MS,
  duration,
  GiB,
  HOUR_MS,
  integer,
  KiB,
  LONG_MAX,
  MINUTE_MS,
  MiB,
  SECOND_MS,
} from './quantities.ts'
import { type Route, routes } from './routes.ts'
import { row, type Setting } from './setting-row.ts'
import { share } from './share.ts'
import { uplinkConnectionSettings } from './uplink-connection.ts'
import { uplinkSettings } from './uplink-settings.ts'
import { boolean, listOf, oneOf, text } from './value-types.ts'

const forever = Number.POSITIVE_INFINITY
const count = (most = 1_000_000) => integer({ min: 1, max: most })
const path = text(/^[^\0]+$/, 'a path')
const loopback = (scheme: string, port: number): readonly ListenUrl[] => [{ scheme, host: '127.0.0.1', port }]
const noListenerRules: ListenerRules = new Map()
const noRoutes: readonly Route[] = []
const noRules: readonly DeliverRule[] = []

/** Below these a gateway cannot work, whatever the machine. */
export const leastBytes = { 'disk.budget': 64 * MiB, 'memory.budget': 16 * MiB } as const

/** THE settings table. What is not here does not exist; what is here is in the file, the environment, the flags and the docs. */
export const settingTable = {
  // the gateway
  'gateway.id': row(
    text(/^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$/, 'up to 64 letters, digits, `.`, `_` and `-`'),
    '',
    'Name of this gateway',
    {
      docs: 'Empty: the host name and the first 6 characters of the log id.',
    },
  ),
  'data.dir': row(path, './data', 'Directory of the log, its views and its lock'),
  'insecure.listeners': row(boolean, false, 'Accept anyone on listeners that other machines can reach', {
    docs: 'Listeners on other than loopback addresses without authentication are refused unless this is `true`.',
  }),
  'log.level': row(oneOf(['debug', 'info', 'warn', 'error']), 'info', 'Least severe log lines to print'),
  'log.format': row(
    oneOf(['auto', 'json', 'pretty']),
    'auto',
    'Form of log lines; auto is pretty on a terminal, else JSON',
  ),

  // disk and memory
  'disk.budget': row(
    share(leastBytes['disk.budget']),
    { percent: 40, atMostBytes: GiB },
    'Disk space for everything the gateway stores',
    {
      docs:
        'Percent are of the file system that holds `data.dir`. Changed while the gateway runs (as a broker config, with any Kafka client), it is ' +
        'kept in the data directory and wins over file, environment and flags until it is deleted there.',
      live: true,
    },
  ),
  'disk.reserve': row(boolean, false, 'Take the whole disk budget at the start instead of bit by bit'),
  'memory.budget': row(
    share(leastBytes['memory.budget']),
    { percent: 25, atMostBytes: 256 * MiB },
    'Memory for batches, queues, buffers and caches',
    {
      docs:
        '96 MiB of it are set aside for the process itself (at most three quarters), the rest is handed out by count; while that is used up, ' +
        'sockets are not read, and nothing acknowledged is lost. The process stays below the budget and 64 MiB from 128 MiB on; with less, a ' +
        'busy gateway still takes about 160 MiB, and says so at the start. Below 256 MiB it trades some speed for a smaller heap. Percent are ' +
        'of the RAM.',
    },
  ),
  'commit.linger.ms': row(
    duration({ max: MINUTE_MS }),
    5,
    'Longest wait for more records before a commit, under load',
    {
      docs: 'An idle log commits at once, and under load a commit goes as soon as it has as many records as a full wait brought lately.',
    },
  ),
  'commit.linger.max.ms': row(
    duration({ max: MINUTE_MS }),
    1000,
    'Longest wait before a commit when flash wear is limited',
    {
      docs: 'Only `wear.budget.per.day` stretches the wait, up to this. Acknowledgements then come that much later.',
    },
  ),
  'relaxed.sync.ms': row(
    duration({ min: 10, max: 1000 }),
    1000,
    'By when a record of a topic with `durability=relaxed` is synced, after its acknowledgement',
    {
      docs: 'What a power cut may take of such topics at most, on a device that syncs within a quarter of it. Consumers see a record after its sync.',
    },
  ),
  'wear.budget.per.day': row(
    bytes({ min: MiB, unlimited: '-1' }),
    forever,
    'Bytes a day that the device under data.dir may take',
    {
      docs: 'While more is written, commits wait longer, up to `commit.linger.max.ms`. Where the device is not counted, the log is. Nothing is refused for it.',
    },
  ),
  'wear.card.bytes': row(bytes(), 0, 'Size of the flash card, for the forecast of its life', {
    docs: '0: the size of the file system that holds `data.dir`.',
  }),
  'wear.card.cycles': row(count(), 1000, 'Times that the card can be written in full, for the forecast of its life', {
    docs: 'The forecast assumes that the card writes 4 bytes inside for each byte that it is given.',
  }),
  'clock.quality': row(
    oneOf(['unknown', 'synchronised']),
    'unknown',
    'What to say of the wall clock where neither systemd-timesyncd nor chrony tells',
    {
      docs: '`synchronised` for a clock that something else keeps right, such as ntpd, PTP or a GPS receiver. Stamps carry it, and `uplink.metered` needs it: nothing else depends on the wall clock.',
    },
  ),
  'commit.align': row(oneOf(['auto', 'always']), 'auto', 'When a commit starts a new block of the device', {
    docs: '`always` is for cards on which a power cut damages bytes beside those being written.',
  }),
  'commit.max.bytes': row(
    bytes({ min: 64 * KiB, max: 16 * MiB }),
    MiB,
    'Largest commit; at most a quarter of a log slot',
  ),
  'gaps.max': row(count(), 1000, 'Gap records kept one by one; older ones are summed'),

  // listeners
  'mqtt.listen': row(listOf(listenUrl(mqttSchemes)), loopback('mqtt', 1883), 'Addresses for MQTT clients; empty = off'),
  'kafka.listen': row(
    listOf(listenUrl(kafkaSchemes)),
    loopback('plaintext', 9092),
    'Addresses for Kafka clients; empty = off',
    {
      kafka: 'listeners',
    },
  ),
  'kafka.advertised': row(
    listOf(listenUrl(kafkaSchemes)),
    [],
    'Addresses that Kafka clients are told to use, one for each kafka.listen',
    {
      docs: 'Empty: the listen address; for a wildcard, the local address that the client connected to. Port 0 is the port bound.',
      kafka: 'advertised.listeners',
    },
  ),
  'http.listen': row(
    listOf(listenUrl(httpSchemes)),
    loopback('http', 8190),
    'Addresses for health, metrics and the API; empty = off',
  ),
  ...listenerSettings,
  'tls.connections.max': row(count(), 2000, 'TLS connections of MQTT and Kafka clients at a time', {
    docs: 'Each takes about 25 KiB beside what any connection takes, which `memory.budget` does not see.',
  }),
  listeners: row(listeners, noListenerRules, 'Settings that hold for single listeners', {
    docs:
      'Each URL is one of `mqtt.listen`, `kafka.listen` or `http.listen`; what is not given for it holds as for all. Limits of connections ' +
      'then count those of this listener, beside those of all together.',
    // Kafka's own `listeners` is kafka.listen
    kafka: 'listener.settings',
  }),

  // topics
  'num.partitions': row(count(1000), 4, 'Partitions of a topic created without a number', { kafka: 'num.partitions' }),
  'auto.create.topics.enable': row(boolean, true, 'Create topics when Kafka clients first name them', {
    kafka: 'auto.create.topics.enable',
    docs: 'The topics of MQTT routes are created in any case.',
  }),
  'partitions.max': row(count(100_000), 2000, 'Partitions of all topics together'),
  'max.message.bytes': row(bytes({ min: KiB, max: 32 * MiB }), MiB, 'Largest record batch; at most half a log slot', {
    kafka: 'message.max.bytes',
  }),
  'retention.ms': row(duration({ unlimited: '-1' }), 7 * DAY_MS, 'Age at which records leave the log', {
    docs: 'Age is the time the log has lived since the append, never the timestamp of the record.',
    kafka: 'log.retention.ms',
  }),
  'retention.bytes': row(
    bytes({ unlimited: '-1' }),
    forever,
    'Bytes of a partition beyond which its oldest records leave the log',
    {
      kafka: 'log.retention.bytes',
    },
  ),
  'message.timestamp.type': row(
    oneOf(['CreateTime', 'LogAppendTime']),
    'CreateTime',
    'Timestamp of records from Kafka producers',
    {
      kafka: 'log.message.timestamp.type',
    },
  ),
  'message.timestamp.before.max.ms': row(
    duration({ unlimited: LONG_MAX }),
    forever,
    'How far record timestamps may lie in the past',
    {
      kafka: 'log.message.timestamp.before.max.ms',
    },
  ),
  'message.timestamp.after.max.ms': row(
    duration({ unlimited: LONG_MAX }),
    forever,
    'How far record timestamps may lie in the future',
    {
      docs: 'No limit, unlike Kafka: a gateway without a clock at boot would refuse every correct timestamp.',
      kafka: 'log.message.timestamp.after.max.ms',
    },
  ),
  'replication.factor.accept': row(boolean, true, 'Create topics also when a replication factor above 1 is asked for', {
    docs: 'The topic has one replica then, and says so. `false` refuses the request as Kafka would.',
  }),

  // routes
  routes: row(routes, noRoutes, 'From MQTT to the log: topic, key and headers; the first match wins', {
    docs:
      'Below the list stands the default route: the first level of the MQTT topic is the topic, the whole MQTT topic the key. ' +
      'With `decode: sparkplug` each metric of a Sparkplug payload is a record, see the guide.',
  }),
  deliver: row(deliver, noRules, 'From the log to MQTT subscribers; what is delivered is not stored again', {
    docs:
      'Rules such as `{ topic: commands, mqtt: "devices/{key}/commands", qos: 1 }`. With `ack: device` a record counts as delivered only once the device has ' +
      'acknowledged it, over restarts, and `report` names a topic that is told what became of it. Several rules for one topic are told apart by `name`.',
  }),

  // Kafka clients
  'connections.max.idle.ms': row(
    duration({ min: SECOND_MS }),
    10 * MINUTE_MS,
    'Silence after which a Kafka connection is closed',
    {
      kafka: 'connections.max.idle.ms',
    },
  ),
  'socket.request.max.bytes': row(bytes({ min: 64 * KiB, max: 100 * MiB }), 16 * MiB, 'Largest Kafka request', {
    kafka: 'socket.request.max.bytes',
  }),
  'fetch.max.bytes': row(bytes({ min: KiB, max: GiB }), 8 * MiB, 'Most bytes in one answer to a Kafka fetch', {
    kafka: 'fetch.max.bytes',
  }),
  'producer.id.expiration.ms': row(
    duration({ min: SECOND_MS }),
    DAY_MS,
    'Time after which an idle producer is forgotten',
    {
      kafka: 'producer.id.expiration.ms',
    },
  ),

  // consumer groups
  'groups.max': row(count(), 2000, 'Consumer groups'),
  'group.members.max': row(count(), 10_000, 'Members of all consumer groups together'),
  'group.max.size': row(count(), 1000, 'Members of one consumer group', { kafka: 'group.max.size' }),
  'group.min.session.timeout.ms': row(
    duration({ min: 1 }),
    6 * SECOND_MS,
    'Least session timeout a member may ask for',
    {
      kafka: 'group.min.session.timeout.ms',
    },
  ),
  'group.max.session.timeout.ms': row(
    duration({ min: 1 }),
    30 * MINUTE_MS,
    'Greatest session timeout a member may ask for',
    {
      kafka: 'group.max.session.timeout.ms',
    },
  ),
  'group.initial.rebalance.delay.ms': row(
    duration({ max: HOUR_MS }),
    3 * SECOND_MS,
    'Wait for more members when a group starts',
    {
      kafka: 'group.initial.rebalance.delay.ms',
    },
  ),
  'offset.metadata.max.bytes': row(bytes({ max: MiB }), 4 * KiB, 'Longest text stored beside a committed offset', {
    kafka: 'offset.metadata.max.bytes',
  }),
  'offsets.retention.minutes': row(count(5_256_000), 10_080, 'Minutes that the offsets of an empty group are kept', {
    kafka: 'offsets.retention.minutes',
  }),
  'offsets.retention.check.interval.ms': row(
    duration({ min: SECOND_MS }),
    10 * MINUTE_MS,
    'How often old offsets are looked for',
    { kafka: 'offsets.retention.check.interval.ms' },
  ),

  ...mqttSettings,

  'sparkplug.host.id': row(
    text(/^[^/+#\0]{0,128}$/, 'a name without `/`, `+` and `#`'),
    '',
    'Host id under which the gateway is a primary host of Sparkplug; empty = it is none',
    {
      docs: 'The gateway then tells `spBv1.0/STATE/{host id}` whether it is there. Decoding is an option of routes and does not need it.',
    },
  ),

  // HTTP
  'http.connections.max': row(count(100_000), 100, 'HTTP connections at a time'),
  'http.request.timeout.ms': row(
    duration({ min: 100, max: HOUR_MS }),
    10 * SECOND_MS,
    'Time an HTTP request may take to arrive',
  ),

  // the central cluster
  ...uplinkSettings,
  ...uplinkConnectionSettings,
  ...downlinkSettings,
} as const

export type SettingKey = keyof typeof settingTable

type ValueOf<Row> = Row extends Setting<infer Value> ? Value : never

/** All settings of a gateway, checked. Byte sizes are bytes, times milliseconds, `Infinity` is "no limit". */
export type Settings = { readonly [Key in SettingKey]: ValueOf<(typeof settingTable)[Key]> }

/** The settings in force for one listener. */
export const settingsOf = (settings: Settings, url: ListenUrl): Settings => ({
  ...settings,
  ...settings.listeners.get(formatListenUrl(url)),
})

export const settingKeys = Object.keys(settingTable) as readonly SettingKey[]

/** The row without the type of its value, for code that goes through all rows. */
export const settingRow = (key: SettingKey): Setting<unknown> => settingTable[key] as unknown as Setting<unknown>

/** `disk.budget` as `--disk-budget`. */
export const flagName = (key: SettingKey): string => `--${key.replaceAll('.', '-')}`

/** `disk.budget` as `BROOKLET_DISK_BUDGET`. */
export const environmentName = (key: SettingKey): string => `BROOKLET_${key.replaceAll('.', '_').toUpperCase()}`

export const defaultSettings = Object.fromEntries(settingKeys.map(key => [key, settingRow(key).fallback])) as Settings
