import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { ApacheKafka, testWithApacheKafka as test } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { type ClientProperties, propertiesText, securedCluster } from '../support/secured-cluster.ts'
import { shareSetup } from '../support/shared-setup.ts'
import { makeCertificate } from '../support/test-certificates.ts'

/** TLS and every login of the Kafka client, against one broker of Apache Kafka with a listener for each. */

const authority = makeCertificate('test authority', { isCa: true })
const user = { name: 'alice', password: 'wonder land' }
const sessionMs = 5_000
let directory: string
let kafka: ApacheKafka

const at = (name: string): string => join(directory, name)

const setUp = async (): Promise<void> => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-security-'))
  const own = makeCertificate('gateway-7', { issuer: authority })
  await writeFile(at('ca.pem'), authority.cert)
  await writeFile(at('other-ca.pem'), makeCertificate('other', { isCa: true }).cert)
  await writeFile(at('own.pem'), own.key + own.cert)
  kafka = await ApacheKafka.start({
    listeners: {
      LOGIN: { protocol: 'SASL_PLAINTEXT' },
      SECURE: { protocol: 'SSL' },
      MUTUAL: { protocol: 'SSL' },
      BOTH: { protocol: 'SASL_SSL' },
    },
    users: [user],
    certificates: { authority, server: makeCertificate('localhost', { issuer: authority }) },
    settings: { 'listener.name.mutual.ssl.client.auth': 'required', 'connections.max.reauth.ms': String(sessionMs) },
  })
}
shareSetup(setUp, async () => {
  await kafka?.close()
  await rm(directory, { recursive: true, force: true })
})

type Listener = 'LOGIN' | 'SECURE' | 'MUTUAL' | 'BOTH'

/** Names of the topics, when it gets in. */
async function topicsSeen(listener: Listener, properties: ClientProperties): Promise<string[]> {
  const cluster = securedCluster(kafka.bootstrapOf(listener), properties)
  try {
    return (await cluster.describe(null)).map(({ name }) => name)
  } finally {
    cluster.close()
  }
}

const trust = (): ClientProperties => ({ 'ssl.truststore.location': at('ca.pem') })
const password = (mechanism: string, word = user.password): ClientProperties => ({
  'sasl.mechanism': mechanism,
  'sasl.username': user.name,
  'sasl.password': word,
})

/** A JSON Web Token without signature (RFC 7519, section 6). */
const token = (expiresMs: number): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ sub: 'gateway-7', iat: expiresMs / 1000 - 3600, exp: expiresMs / 1000 })}.`
}
const bearer = (): ClientProperties => ({
  'sasl.mechanism': 'OAUTHBEARER',
  'sasl.oauthbearer.token.endpoint.url': `file://${at('token')}`,
})

test('SSL: the CA decides, and a broker that wants a certificate gets one', async () => {
  const secure = { 'security.protocol': 'SSL' }
  expect(await topicsSeen('SECURE', { ...secure, ...trust() })).toEqual([])
  await expect(topicsSeen('SECURE', { ...secure, 'ssl.truststore.location': at('other-ca.pem') })).rejects.toThrow(
    'comes from a CA that this client does not trust',
  )
  await expect(topicsSeen('MUTUAL', { ...secure, ...trust() })).rejects.toThrow(
    'the server does not accept the certificate of this client, or misses one',
  )
  expect(await topicsSeen('MUTUAL', { ...secure, ...trust(), 'ssl.keystore.location': at('own.pem') })).toEqual([])
})

for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
  test(`${mechanism}, with and without TLS; a wrong password is called that`, async () => {
    const plain = { 'security.protocol': 'SASL_PLAINTEXT' }
    expect(await topicsSeen('LOGIN', { ...plain, ...password(mechanism) })).toEqual([])
    expect(await topicsSeen('BOTH', { 'security.protocol': 'SASL_SSL', ...trust(), ...password(mechanism) })).toEqual(
      [],
    )
    await expect(topicsSeen('LOGIN', { ...plain, ...password(mechanism, 'wrong') })).rejects.toThrow(
      new RegExp(`login at \\S+ as alice with ${mechanism}: SASL_AUTHENTICATION_FAILED \\(Authentication failed`),
    )
  })
}

test('OAUTHBEARER: the token is read from its file for each connection', async () => {
  const properties = { 'security.protocol': 'SASL_SSL', ...trust(), ...bearer() }
  await expect(topicsSeen('BOTH', properties)).rejects.toThrow(`there is no file ${at('token')}`)
  await writeFile(at('token'), token(Date.now() - 60_000))
  await expect(topicsSeen('BOTH', properties)).rejects.toThrow(
    /does not accept the token: invalid_token; it expired at/,
  )
  await writeFile(at('token'), `${token(Date.now() + 3_600_000)}\n`)
  expect(await topicsSeen('BOTH', properties)).toEqual([])
})

test('the uplink goes up over TLS with a certificate, a password and a token; one that has expired is named, and read anew without a restart', async () => {
  await writeFile(at('token'), token(Date.now() - 60_000))
  const ways: Record<string, ClientProperties & { readonly bootstrap: string }> = {
    mutual: {
      bootstrap: kafka.bootstrapOf('MUTUAL'),
      'security.protocol': 'SSL',
      'ssl.keystore.location': at('own.pem'),
    },
    login: { bootstrap: kafka.bootstrapOf('BOTH'), 'security.protocol': 'SASL_SSL', ...password('SCRAM-SHA-512') },
    bearer: { bootstrap: kafka.bootstrapOf('BOTH'), 'security.protocol': 'SASL_SSL', ...bearer() },
  }
  await Promise.all(
    Object.entries(ways).map(async ([name, { bootstrap, ...properties }]) => {
      const secured = Object.entries({ ...trust(), ...properties }).map(([key, value]) => [`uplink.${key}`, value])
      const gateway = await Gateway.start({
        settings: {
          'uplink.bootstrap.servers': bootstrap,
          'uplink.topics': name,
          'uplink.retry.backoff.ms': '100',
          'uplink.retry.backoff.max.ms': '200',
          ...Object.fromEntries(secured),
        },
      })
      const local = openCentral(gateway.addresses.kafka)
      const central = openCentral(kafka.bootstrap)
      try {
        const records = Array.from({ length: 10 }, (_, index) => ({
          timestampMs: 1,
          key: null,
          value: Buffer.from(`${name} ${index}`),
        }))
        const options = { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 } as const
        await new Producer(local, options).send(name, records, 0)
        if (name === 'bearer') {
          // renewed while the uplink tries again
          await expect.poll(() => gateway.stderr).toContain('does not accept the token')
          await writeFile(at('token'), token(Date.now() + 3_600_000))
        }
        const seen = async (): Promise<number> => {
          const found = await CommittedRecords.of(central, name).then(one => one.readOn())
          return found.partitions.flat().filter(({ value }) => String(value).startsWith(name)).length
        }
        await expect.poll(() => seen().catch(() => 0)).toBe(10)
      } finally {
        local.close()
        central.close()
        await gateway.dispose()
      }
    }),
  )
})

test('the wrong protocol is called that', async () => {
  await expect(topicsSeen('SECURE', {})).rejects.toThrow('security.protocol')
  await expect(topicsSeen('LOGIN', { 'security.protocol': 'SSL', ...trust() })).rejects.toThrow(/TLS/)
  const login = { 'security.protocol': 'SASL_SSL', ...trust(), ...password('PLAIN') }
  await expect(topicsSeen('SECURE', login)).rejects.toThrow(/this listener of the broker has no logins/)
})

test('a session that the broker ends is renewed on the same connection (KIP-368)', async () => {
  const cluster = securedCluster(kafka.bootstrapOf('LOGIN'), {
    'security.protocol': 'SASL_PLAINTEXT',
    ...password('SCRAM-SHA-512'),
  })
  try {
    const connection = await cluster.any()
    const endMs = Date.now() + 1.5 * sessionMs
    while (Date.now() < endMs) {
      await cluster.describe([])
      await sleep(50)
    }
    expect(await cluster.any()).toBe(connection)
  } finally {
    cluster.close()
  }
})

test('the commands take a properties file as the tools of Kafka do', async () => {
  const plain = securedCluster(kafka.bootstrap, {})
  await createTopic(plain, { name: 'seen', partitions: 1, replicationFactor: 1, configs: new Map() })
  plain.close()
  const jaas = `org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="${user.password}";`
  const properties = { 'security.protocol': 'SASL_SSL', ...trust(), 'sasl.jaas.config': jaas }
  await writeFile(at('client.properties'), propertiesText(properties))
  const list = (...more: string[]) => runBrooklet(['topics', 'list', '-b', kafka.bootstrapOf('BOTH'), ...more])
  const { stdout, stderr, code } = await list('--command-config', at('client.properties'))
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toContain('seen')
  expect((await list()).stderr).toContain('security.protocol')
})
