import { bytes, duration, integer, KiB, MINUTE_MS, MiB, SECOND_MS } from './quantities.ts'
import { row, type Setting } from './setting-row.ts'
import { oneOf, text } from './value-types.ts'

const any = Number.POSITIVE_INFINITY
const count = integer({ min: 1, max: 1_000_000 })
const countOrAny = integer({ min: 1, max: 1_000_000, unlimited: '-1' })
const optionalPath = text(/^[^\0]*$/, 'a path')

/** Rows of the settings table that are about what stands between a socket and its protocol. */
export const listenerSettings = {
  'tls.cert': row(optionalPath, '', 'PEM file of the certificate that TLS listeners show', {
    docs:
      'The certificate first, then those that lead from it to its CA. For `mqtts`, `wss`, `ssl` and `https`. The files of `tls.` are read again when ' +
      'they change, and at SIGHUP: new connections get the new certificate, those that are open stay.',
  }),
  'tls.key': row(optionalPath, '', 'PEM file of the private key of tls.cert, without a passphrase'),
  'tls.ca': row(optionalPath, '', 'PEM file of the CAs that certificates of clients must come from', {
    docs: 'Needed where `tls.client.auth` is not `none`. Those of the system do not count.',
  }),
  'tls.client.auth': row(oneOf(['none', 'requested', 'required']), 'none', 'Whether TLS clients show a certificate', {
    docs:
      '`requested`: a client may come without one, but not with one that is not of `tls.ca`. With `required`, other machines can reach a TLS ' +
      'listener without `insecure.listeners`.',
    kafka: 'ssl.client.auth',
  }),
  'tls.min.version': row(oneOf(['TLSv1.2', 'TLSv1.3']), 'TLSv1.2', 'Oldest version of TLS that clients may speak'),
  'connection.setup.timeout.ms': row(
    duration({ min: 100, max: 10 * MINUTE_MS }),
    10 * SECOND_MS,
    'Time a new connection has for what comes before its protocol',
    {
      docs: 'The header of a proxy, the TLS handshake and the upgrade to WebSocket together. CONNECT has `mqtt.connect.timeout.ms` after that.',
    },
  ),
  'proxy.protocol': row(oneOf(['none', 'v2']), 'none', 'Whether a proxy in front sends the addresses of its clients', {
    docs:
      '`v2`: each connection must begin with the binary header of the PROXY protocol (HAProxy: `send-proxy-v2`), before TLS; without it, it is closed. ' +
      'Logs and limits then go by the address in it, so that only the proxy may reach the listener. Not for HTTP.',
  }),
  'mqtt.connections.max': row(count, 10_000, 'MQTT connections at a time'),
  'mqtt.connections.per.address.max': row(countOrAny, any, 'MQTT connections at a time from one address'),
  'mqtt.connection.rate.max': row(countOrAny, any, 'New MQTT connections in a second', {
    docs: 'More are closed at once, before a TLS handshake. They come back: clients should wait longer each time.',
  }),
  'mqtt.max.packet.bytes': row(bytes({ min: KiB, max: 32 * MiB }), MiB, 'Largest MQTT packet; at most half a log slot'),
  'mqtt.publish.rate.max': row(countOrAny, any, 'Publishes that one client may send in a second', {
    docs: 'A client that sends more is read more slowly; nothing of it is dropped.',
  }),
  'mqtt.publish.bytes.rate.max': row(
    bytes({ min: KiB, unlimited: '-1' }),
    any,
    'Bytes of publishes that one client may send in a second',
    { docs: 'As `mqtt.publish.rate.max`. A publish that is larger than that is taken, and paid for afterwards.' },
  ),
  'kafka.connections.max': row(count, 1000, 'Kafka connections at a time', { kafka: 'max.connections' }),
  'kafka.connections.per.address.max': row(countOrAny, any, 'Kafka connections at a time from one address', {
    kafka: 'max.connections.per.ip',
  }),
  'kafka.connection.rate.max': row(countOrAny, any, 'New Kafka connections in a second', {
    docs: 'More are closed at once, before a TLS handshake.',
    kafka: 'max.connection.creation.rate',
  }),
} as const

type ValueOf<Row> = Row extends Setting<infer Value> ? Value : never

/** Settings that hold for one listener. */
export type ListenerSettings = {
  readonly [Key in keyof typeof listenerSettings]: ValueOf<(typeof listenerSettings)[Key]>
}
