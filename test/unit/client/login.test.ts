import { afterEach, describe, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { Credentials } from '../../../src/client/credentials.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { nodeRandom } from '../../../src/platform/node/random.ts'
import { saslAuthenticate } from '../../../src/wire/kafka/contracts/sasl-authenticate.ts'
import { saslHandshake } from '../../../src/wire/kafka/contracts/sasl-handshake.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { ScriptedBroker } from '../../support/scripted-broker.ts'
import { type ClientProperties, securedCluster } from '../../support/secured-cluster.ts'
import { SkippingClock } from '../../support/skipping-clock.ts'

const sessionMs = 10_000
const plain: ClientProperties = {
  'security.protocol': 'SASL_PLAINTEXT',
  'sasl.mechanism': 'PLAIN',
  'sasl.username': 'alice',
  'sasl.password': 'secret',
}
let broker: ScriptedBroker
let cluster: Cluster

afterEach(async () => {
  cluster?.close()
  await broker.stop()
})

/** Takes `alice` with this password, for ten seconds at a time. */
const start = async (clock = new SkippingClock()): Promise<{ accepted: string }> => {
  const state = { accepted: 'secret' }
  broker = await ScriptedBroker.start()
  broker.serveTopic(() => [0])
  broker.serve(saslHandshake, ({ mechanism }) => ({
    errorCode: mechanism === 'PLAIN' ? 0 : errorCodes.UNSUPPORTED_SASL_MECHANISM,
    mechanisms: ['PLAIN', 'GSSAPI'],
  }))
  broker.serve(saslAuthenticate, ({ authBytes }) => {
    const isRight = authBytes.toString() === `\0alice\0${state.accepted}`
    if (isRight) return { errorCode: 0, errorMessage: null, authBytes: Buffer.of(), sessionLifetimeMs: sessionMs }
    return { errorCode: errorCodes.SASL_AUTHENTICATION_FAILED, errorMessage: 'who?', authBytes: Buffer.of() }
  })
  const { host, port } = broker.address
  cluster = securedCluster(`${host}:${port}`, plain, { clock })
  return state
}

const asked = (): string[] => broker.asked.map(name => name.split(' ')[0]!)
const login = ['SaslHandshake', 'SaslAuthenticate']

describe('a login', () => {
  it('comes before everything but the versions', async () => {
    await start()
    await cluster.describe([])
    expect(asked()).toEqual(['ApiVersions', ...login, 'Metadata'])
  })

  it('that is refused says who, where, how and what the broker says', async () => {
    const state = await start()
    state.accepted = 'other'
    const { port } = broker.address
    await expect(cluster.any()).rejects.toThrow(
      `login at 127.0.0.1:${port} as alice with PLAIN: SASL_AUTHENTICATION_FAILED (who?)`,
    )
  })

  it('with a mechanism that the broker does not have says which it has', async () => {
    await start()
    const { host, port } = broker.address
    cluster = securedCluster(`${host}:${port}`, { ...plain, 'sasl.mechanism': 'SCRAM-SHA-256' })
    await expect(cluster.any()).rejects.toThrow('UNSUPPORTED_SASL_MECHANISM (the broker has PLAIN, GSSAPI)')
  })

  it('is renewed before it ends, with nothing else under way (KIP-368)', async () => {
    const clock = new SkippingClock()
    await start(clock)
    const connection = await cluster.any()
    const release = broker.hold('Metadata')
    const first = cluster.describe([])
    await expect.poll(() => asked().at(-1)).toBe('Metadata')
    await clock.skip(0.9 * sessionMs)
    const second = cluster.describe([])
    await clock.skip(100)
    expect(asked().filter(name => name === 'SaslHandshake')).toHaveLength(1)
    release()
    await Promise.all([first, second])
    expect(asked()).toEqual(['ApiVersions', ...login, 'Metadata', ...login, 'Metadata'])
    expect(await cluster.any()).toBe(connection)
  })

  it('that is not renewed ends the connection, and the next one says why', async () => {
    const clock = new SkippingClock()
    const state = await start(clock)
    const connection = await cluster.any()
    state.accepted = 'changed'
    await clock.skip(0.9 * sessionMs)
    await expect.poll(() => connection.usable).toBe(false)
    await expect(cluster.any()).rejects.toThrow('SASL_AUTHENTICATION_FAILED (who?)')
    state.accepted = 'secret'
    expect((await cluster.any()).usable).toBe(true)
  })

  it('with a token that the broker refuses is tried with another one next time, however long that was to live', async () => {
    const clock = new SkippingClock()
    broker = await ScriptedBroker.start()
    broker.serve(saslHandshake, () => ({ errorCode: 0, mechanisms: ['OAUTHBEARER'] }))
    broker.serve(saslAuthenticate, ({ authBytes }) => {
      const isRight = authBytes.includes('Bearer token2')
      const refusal = { errorCode: errorCodes.SASL_AUTHENTICATION_FAILED, errorMessage: 'revoked' }
      return {
        ...(isRight ? { errorCode: 0, errorMessage: null } : refusal),
        authBytes: Buffer.of(),
        sessionLifetimeMs: 0,
      }
    })
    let tokens = 0
    const token = { kind: 'endpoint', url: 'https://login/token', clientId: 'c', clientSecret: 's', scope: '' } as const
    const credentials = new Credentials(
      { tls: undefined, login: { mechanism: 'OAUTHBEARER', token } },
      {
        clock,
        random: nodeRandom,
        read: () => Promise.reject(new Error('no file')),
        postForm: async () => ({ status: 200, body: `{"access_token":"token${++tokens}","expires_in":3600}` }),
      },
    )
    cluster = new Cluster(nodeNetwork, clock, {
      bootstrap: [broker.address],
      clientId: 'test',
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 20_000,
      softwareVersion: '1',
      credentials,
    })
    await expect(cluster.any()).rejects.toThrow('SASL_AUTHENTICATION_FAILED (revoked)')
    expect((await cluster.any()).usable).toBe(true)
    expect(tokens).toBe(2)
  })
})
