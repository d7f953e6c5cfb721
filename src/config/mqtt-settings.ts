import { MAX_TOPIC_LEVELS } from '../wire/mqtt/topic-name.ts'
import { bytes, DAY_MS, duration, GiB, integer, KiB, MINUTE_MS, MiB, SECOND_MS, seconds } from './quantities.ts'
import { row } from './setting-row.ts'
import { type SubscribeDenyRule, subscribeDeny } from './subscribe-deny.ts'

const forever = Number.POSITIVE_INFINITY
const count = integer({ min: 1, max: 1_000_000 })
const noDenials: readonly SubscribeDenyRule[] = []

/** Rows of the settings table about MQTT clients and their sessions. */
export const mqttSettings = {
  'mqtt.connect.timeout.ms': row(
    duration({ min: 100, max: 10 * MINUTE_MS }),
    10 * SECOND_MS,
    'Time a new connection has to send CONNECT',
  ),
  'mqtt.keep.alive.max': row(seconds({ max: 65_535 }), 0, 'Longest keep alive a client may have; 0 = any', {
    docs: 'MQTT 5 clients that ask for more are told this one. A plain number is seconds, as in MQTT.',
  }),
  'mqtt.topic.levels.max': row(
    integer({ min: 1, max: MAX_TOPIC_LEVELS }),
    MAX_TOPIC_LEVELS,
    'Levels of a topic that clients may publish or subscribe to',
  ),
  'mqtt.auto.topics.max': row(
    integer({ max: 100_000 }),
    64,
    'Topics that the default route may create; then mqtt.other',
  ),
  'mqtt.inflight.max': row(
    integer({ min: 1, max: 65_535 }),
    1000,
    'Unacknowledged QoS 1 and 2 publishes from a client (Receive Maximum); to one that names no limit as well',
  ),
  'mqtt.subscriber.max.bytes': row(
    bytes({ min: 16 * KiB, max: GiB }),
    MiB,
    'Bytes that may wait for a slow or absent subscriber',
  ),
  'mqtt.subscriptions.max': row(count, 1000, 'Subscriptions of one client'),
  'mqtt.subscribe.deny': row(subscribeDeny, noDenials, 'Topic filters that no client may subscribe to', {
    docs:
      'Rules such as `{ mqtt: plant/secret/#, reason: 0x87 }`. Refused is a filter that asks for nothing but what the rule covers: this one refuses ' +
      '`plant/secret/a`, not `plant/#`. `reason` is the reason code in SUBACK of MQTT 5: 0x80, 0x83, 0x87 (when absent), 0x8f or 0x97; older ' +
      'versions are told 0x80.',
  }),
  'mqtt.sessions.max': row(count, 10_000, 'Sessions kept for absent clients'),
  'mqtt.session.expiry.max.ms': row(
    duration({ unlimited: '-1' }),
    7 * DAY_MS,
    'Time after which the session of an absent client ends',
  ),
  'mqtt.session.retention.ms': row(
    duration({ unlimited: '-1' }),
    forever,
    'Age beyond which an absent client is not given what it missed',
    {
      docs: 'By log age, as `retention.ms`, which ends what all sessions can read. What is passed over is counted and logged.',
    },
  ),
  'mqtt.session.retention.bytes': row(
    bytes({ unlimited: '-1' }),
    forever,
    'Bytes of log of which a client that comes back is given what it missed; the oldest is passed over',
    {
      docs:
        'All records of the partitions count in which it has missed something, also those that it has not subscribed to, by their average size. ' +
        'What is passed over is counted and logged. It does not hold for shared subscriptions.',
    },
  ),
  'mqtt.retained.max': row(count, 10_000, 'Retained publishes'),
  'mqtt.sys.interval': row(
    seconds({ max: 3600 }),
    10 * SECOND_MS,
    'How often topics under $SYS are published; 0 = there are none',
    { docs: 'A plain number is seconds, as in Mosquitto.' },
  ),
} as const
