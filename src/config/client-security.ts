import { type JaasOptions, jaasConfig } from './jaas-config.ts'
import { row, type Setting } from './setting-row.ts'
import { oneOf, text } from './value-types.ts'

const any = text(/^[^\0]*$/, 'text')
const optionalPath = text(/^[^\0]*$/, 'a path')
const secret = { secret: true } as const
const noOptions: JaasOptions = new Map()

/**
 * How a client of a Kafka cluster secures its connections, by the names that Kafka's clients have (librdkafka's, where those of Java cannot say
 * it). The uplink has these rows behind `uplink.`, the commands take them from a properties file.
 */
export const clientSecurityRows = {
  'security.protocol': row(
    oneOf(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']),
    'PLAINTEXT',
    'Whether connections to the cluster have TLS (SSL) and a login (SASL)',
  ),
  'ssl.truststore.location': row(optionalPath, '', 'PEM file of the CAs that certificates of brokers must come from', {
    docs:
      'Empty: the public CAs that Node brings. All files of `ssl.` and `sasl.` are read for each new connection, so that they can be renewed ' +
      'at any time.',
  }),
  'ssl.keystore.location': row(optionalPath, '', 'PEM file of a private key and the certificate to show to brokers', {
    docs: 'For a key in a file of its own: `ssl.certificate.location` and `ssl.key.location`.',
  }),
  'ssl.certificate.location': row(optionalPath, '', 'PEM file of the certificate to show to brokers'),
  'ssl.key.location': row(optionalPath, '', 'PEM file of the private key of ssl.certificate.location'),
  'ssl.key.password': row(any, '', 'Passphrase of the private key', secret),
  'ssl.endpoint.identification.algorithm': row(
    oneOf(['https', '']),
    'https',
    'Whether the certificate of a broker must name the host that was asked for; empty = no',
  ),
  'sasl.mechanism': row(
    oneOf(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']),
    'SCRAM-SHA-512',
    'How to log in where security.protocol says SASL',
    { docs: '`PLAIN` and `OAUTHBEARER` show the password or token to whoever listens: they want `SASL_SSL`.' },
  ),
  'sasl.username': row(any, '', 'User to log in as'),
  'sasl.password': row(any, '', 'Password of sasl.username', secret),
  'sasl.jaas.config': row(
    jaasConfig,
    noOptions,
    "What Java's clients have instead of sasl.username and sasl.password",
    {
      docs: 'As in `org.apache.kafka.common.security.scram.ScramLoginModule required username="a" password="b";`. The options `clientId`, `clientSecret` and `scope` are those of OAUTHBEARER.',
      ...secret,
    },
  ),
  'sasl.oauthbearer.token.endpoint.url': row(
    text(/^(|(https?|file):\/\/\S+)$/, 'a URL that begins with https:// or file://'),
    '',
    'Where tokens for OAUTHBEARER are from',
    {
      docs: 'A `file:///...` holds the token itself. `https://...` is asked with the client credentials grant of OAuth 2 (KIP-768).',
    },
  ),
  'sasl.oauthbearer.client.credentials.client.id': row(any, '', 'Client id at the token endpoint'),
  'sasl.oauthbearer.client.credentials.client.secret': row(any, '', 'Client secret at the token endpoint', secret),
  'sasl.oauthbearer.scope': row(any, '', 'Scope that the token endpoint is asked for'),
} as const

export type ClientSecurityKey = keyof typeof clientSecurityRows

type ValueOf<Row> = Row extends Setting<infer Value> ? Value : never

export type ClientSecurityValues = {
  readonly [Key in ClientSecurityKey]: ValueOf<(typeof clientSecurityRows)[Key]>
}

export const clientSecurityKeys = Object.keys(clientSecurityRows) as readonly ClientSecurityKey[]

type Report = (key: ClientSecurityKey, reason: string) => void

/** What contradicts each other, or is not enough. */
export const checkClientSecurity = (values: ClientSecurityValues, report: Report): void => {
  const protocol = values['security.protocol']
  const hasNoEffect = (prefix: string, nearest: string): void => {
    for (const key of clientSecurityKeys) {
      const { type, fallback } = clientSecurityRows[key] as unknown as Setting<unknown>
      if (!key.startsWith(prefix) || type.formatPlain(values[key]) === type.formatPlain(fallback)) continue
      report(key, `has no effect with security.protocol=${protocol}; nearest: security.protocol=${nearest}`)
    }
  }
  const hasTls = protocol.endsWith('SSL')
  const hasLogin = protocol.startsWith('SASL')
  if (hasTls) checkCertificate(values, report)
  else hasNoEffect('ssl.', hasLogin ? 'SASL_SSL' : 'SSL')
  if (hasLogin) checkLogin(values, report)
  else hasNoEffect('sasl.', hasTls ? 'SASL_SSL' : 'SASL_PLAINTEXT')
}

const checkCertificate = (values: ClientSecurityValues, report: Report): void => {
  const { 'ssl.keystore.location': both, 'ssl.certificate.location': cert, 'ssl.key.location': key } = values
  if (both !== '' && (cert !== '' || key !== ''))
    report('ssl.keystore.location', 'holds a key and its certificate: say either this or the two files')
  if (cert !== '' && key === '') report('ssl.certificate.location', 'needs ssl.key.location')
  if (cert === '' && key !== '') report('ssl.key.location', 'needs ssl.certificate.location')
  if (values['ssl.key.password'] !== '' && both === '' && key === '')
    report('ssl.key.password', 'needs ssl.keystore.location or ssl.key.location')
}

const checkLogin = (values: ClientSecurityValues, report: Report): void => {
  const mechanism = values['sasl.mechanism']
  const needs = (key: ClientSecurityKey, jaasOption: string): void => {
    const hasJaas = values['sasl.jaas.config'].has(jaasOption)
    if (values[key] === '' && !hasJaas) report(key, `is needed for ${mechanism}, or ${jaasOption} in sasl.jaas.config`)
    if (values[key] !== '' && hasJaas) report(key, 'stands in sasl.jaas.config as well: say it once')
  }
  if (mechanism !== 'OAUTHBEARER') {
    needs('sasl.username', 'username')
    needs('sasl.password', 'password')
    return
  }
  const url = values['sasl.oauthbearer.token.endpoint.url']
  if (url === '') report('sasl.oauthbearer.token.endpoint.url', 'is needed for OAUTHBEARER')
  else if (!isTokenSource(url)) report('sasl.oauthbearer.token.endpoint.url', 'is neither file:///PATH nor https://...')
  if (!url.startsWith('http')) return
  needs('sasl.oauthbearer.client.credentials.client.id', 'clientId')
  needs('sasl.oauthbearer.client.credentials.client.secret', 'clientSecret')
}

/** Plain http would show the client secret and the token to whoever listens; on this machine nobody does. */
const isTokenSource = (url: string): boolean => {
  try {
    const { protocol, hostname, pathname } = new URL(url)
    if (protocol === 'file:') return hostname === '' && decodeURIComponent(pathname).length > 1
    return protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname))
  } catch {
    return false
  }
}
