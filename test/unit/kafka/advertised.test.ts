import { afterEach, describe, expect, it } from 'vitest'
import type { ListenUrl } from '../../../src/config/listen-url.ts'
import { StartError } from '../../../src/core/errors.ts'
import { advertisedAddress } from '../../../src/kafka/advertised.ts'
import type { Connection } from '../../../src/platform/network.ts'
import { findCoordinator, metadata } from '../../../src/wire/kafka/contracts/index.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'

const url = (host: string, port: number): ListenUrl => ({ scheme: 'plaintext', host, port })
const reachedAt = (host: string): Connection => ({ local: { host, port: 5555 } }) as Connection

describe('advertised address', () => {
  it.each([
    ['the listen address', url('127.0.0.1', 9092), undefined, { host: '127.0.0.1', port: 9092 }],
    ['its name as it was written', url('localhost', 9092), undefined, { host: 'localhost', port: 9092 }],
    [
      'behind a wildcard, where the client reached us',
      url('0.0.0.0', 9092),
      undefined,
      { host: '10.0.0.7', port: 9092 },
    ],
    ['behind an IPv6 wildcard too', url('::', 9092), undefined, { host: '10.0.0.7', port: 9092 }],
    ['kafka.advertised', url('0.0.0.0', 9092), url('gw.local', 29092), { host: 'gw.local', port: 29092 }],
    ['kafka.advertised with the port bound', url('0.0.0.0', 0), url('gw.local', 0), { host: 'gw.local', port: 9092 }],
  ])('is %s', (_what, listen, advertised, expected) => {
    expect(advertisedAddress(listen, advertised, 9092, reachedAt('10.0.0.7'))).toEqual(expected)
  })
})

describe('listeners', () => {
  const servers: KafkaTestServer[] = []
  const start = async (listen: ListenUrl[], advertised: ListenUrl[] = []): Promise<KafkaTestServer> => {
    const settings = { 'kafka.listen': listen, 'kafka.advertised': advertised }
    const server = await KafkaTestServer.start({ settings })
    servers.push(server)
    return server
  }
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
  })

  it('each have their own advertised address', async () => {
    const local = url('127.0.0.1', 0)
    const server = await start([local, local], [url('one.test', 1), url('two.test', 2)])
    const names: string[] = []
    for (const [index] of server.server.addresses.entries()) {
      const client = await server.connect(index)
      const { brokers } = await client.request(metadata, 9, { topics: [] })
      const { host, port } = await client.request(findCoordinator, 3, { key: 'g' })
      expect(brokers).toMatchObject([{ host, port }])
      names.push(`${host}:${port}`)
    }
    expect(names).toEqual(['one.test:1', 'two.test:2'])
  })

  it('say which address cannot be bound and how to choose another', async () => {
    const first = await start([url('127.0.0.1', 0)])
    const failed = start([url('127.0.0.1', 0), url('127.0.0.1', first.port)])
    await expect(failed).rejects.toThrow(StartError)
    await expect(failed).rejects.toThrow(
      /127\.0\.0\.1:\d+: the address is in use \(EADDRINUSE\); choose another address with --kafka-listen/,
    )
  })
})
