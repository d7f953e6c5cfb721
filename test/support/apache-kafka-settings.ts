import type { TestCertificate } from './test-certificates.ts'

/** How a broker of `ApacheKafka` is set up: its `server.properties`. */

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'

/** A listener beside the one that brokers and tests speak with each other on. */
export interface KafkaListener {
  readonly protocol: SecurityProtocol
  /** 127.0.0.1 when absent. */
  readonly host?: string
  /** What the brokers tell clients, `host:port` by node id (1, 2, 3): the way through a proxy. Where it listens when absent. */
  readonly advertised?: readonly string[]
}

export interface KafkaUser {
  readonly name: string
  readonly password: string
}

export interface KafkaCertificates {
  readonly server: TestCertificate
  readonly authority: TestCertificate
  /** Clients need a certificate of the authority; its common name is their user. */
  readonly clientAuth?: boolean
}

export interface KafkaSettings {
  /** By name, which is in capitals. */
  readonly listeners?: Readonly<Record<string, KafkaListener>>
  /** Of all SASL listeners: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. OAUTHBEARER takes any token that is not signed and not expired. */
  readonly users?: readonly KafkaUser[]
  /** Of all SSL listeners. */
  readonly certificates?: KafkaCertificates
  /** Added to `server.properties`, and winning over what stands there. */
  readonly settings?: Readonly<Record<string, string>>
}

/** Where one broker listens. */
export interface KafkaPorts {
  readonly nodeId: number
  readonly plain: number
  readonly controller: number
  /** By name of the listener. */
  readonly others: Readonly<Record<string, number>>
}

const security = 'org.apache.kafka.common.security'

/** The text of `server.properties` for one of `brokers`: broker and controller in one process, made for small heaps and quick tests. */
export const serverProperties = (
  own: KafkaPorts,
  brokers: readonly KafkaPorts[],
  logDirectory: string,
  given: KafkaSettings,
): string => {
  const listeners = Object.entries(given.listeners ?? {})
  const replicas = String(brokers.length)
  const listens = listeners.map(([name, { host = '127.0.0.1' }]) => `${name}://${host}:${own.others[name]}`)
  const advertised = listeners.map(
    ([name, { host = '127.0.0.1', advertised }]) =>
      `${name}://${advertised?.[own.nodeId - 1] ?? `${host}:${own.others[name]}`}`,
  )
  const protocols = listeners.map(([name, { protocol }]) => `${name}:${protocol}`)
  const plain = `PLAINTEXT://127.0.0.1:${own.plain}`
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(own.nodeId),
    listeners: [plain, `CONTROLLER://127.0.0.1:${own.controller}`, ...listens].join(','),
    'advertised.listeners': [plain, ...advertised].join(','),
    'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', 'PLAINTEXT:PLAINTEXT', ...protocols].join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.quorum.voters': brokers.map(({ nodeId, controller }) => `${nodeId}@127.0.0.1:${controller}`).join(','),
    'log.dirs': logDirectory,
    'default.replication.factor': replicas,
    'min.insync.replicas': brokers.length > 1 ? '2' : '1',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': brokers.length > 1 ? '2' : '1',
    'transaction.state.log.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // a killed broker is seen to be gone within seconds
    'broker.session.timeout.ms': '4000',
    'broker.heartbeat.interval.ms': '500',
    'num.network.threads': '1',
    'num.io.threads': '2',
    'background.threads': '1',
    // allocated on the heap at the start, 128 MiB by default
    'log.cleaner.dedupe.buffer.size': '2097152',
    ...saslProperties(given),
    ...sslProperties(given.certificates),
    ...given.settings,
  }
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`)
    .join('')
}

const saslProperties = ({ listeners = {}, users = [] }: KafkaSettings): Record<string, string> => {
  const passwords = users.map(({ name, password }) => `user_${name}="${password}"`).join(' ')
  const properties: Record<string, string> = {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
  }
  for (const [name, { protocol }] of Object.entries(listeners)) {
    if (!protocol.startsWith('SASL_')) continue
    const of = (mechanism: string): string => `listener.name.${name.toLowerCase()}.${mechanism}.sasl`
    properties[`${of('plain')}.jaas.config`] = `${security}.plain.PlainLoginModule required ${passwords};`
    for (const scram of ['scram-sha-256', 'scram-sha-512'])
      properties[`${of(scram)}.jaas.config`] = `${security}.scram.ScramLoginModule required;`
    const login = `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`
    properties[`${of('oauthbearer')}.jaas.config`] = login
    properties[`${of('oauthbearer')}.server.callback.handler.class`] =
      `${security}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler`
  }
  return properties
}

const sslProperties = (certificates: KafkaCertificates | undefined): Record<string, string> => {
  if (certificates === undefined) return {}
  const { server, authority, clientAuth = false } = certificates
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.key': server.key,
    'ssl.keystore.certificate.chain': server.cert,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.certificates': authority.cert,
    'ssl.client.auth': clientAuth ? 'required' : 'none',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
  }
}
