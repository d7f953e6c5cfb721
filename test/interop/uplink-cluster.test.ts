import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import { committedOffsets } from '../../src/client/group-admin.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import type { GatewayOverview } from '../../src/http/status.ts'
import { takenGroupOf } from '../../src/uplink/downlink/taken-offsets.ts'
import { ApacheKafka, type KafkaBroker, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'
import { makeCertificate } from '../support/test-certificates.ts'

/** The ways up and down and three brokers of Apache Kafka with replication factor 3, of which one after the other is taken away under load. */

const patienceMs = 90_000
const topic = 'sensors'
const partitions = 3

const user = { name: 'greenhouse', password: 'tomatoes and more' }
const authority = makeCertificate('Test CA', { isCa: true })

let kafka: ApacheKafka
let central: Cluster
/** The ways to the three brokers. */
let links: FaultProxy[] = []
let gateway: Gateway
let numbered = 0

const setUp = async (): Promise<void> => {
  numbered = 0
  links = [await FaultProxy.start(0), await FaultProxy.start(0), await FaultProxy.start(0)]
  const advertised = links.map(({ address }) => address)
  kafka = await ApacheKafka.start({
    brokers: 3,
    listeners: { LINK: { protocol: 'PLAINTEXT', advertised }, SECURE: { protocol: 'SASL_SSL' } },
    users: [user],
    certificates: { authority, server: makeCertificate('localhost', { issuer: authority }) },
    settings: { 'auto.create.topics.enable': 'false' },
  })
  for (const [index, link] of links.entries())
    link.targetPort = Number(kafka.brokers[index]!.address('LINK').split(':')[1])
  central = openCentral(kafka.bootstrap)
  await createTopic(central, { name: topic, partitions, replicationFactor: 3, configs: new Map() })
  gateway = await Gateway.start({
    settings: {
      'num.partitions': String(partitions),
      'uplink.bootstrap.servers': advertised.join(','),
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'uplink.request.timeout.ms': '3s',
      'uplink.transaction.timeout.ms': '10s',
    },
  })
}

shareSetup(setUp, async () => {
  central?.close()
  await gateway?.dispose()
  await kafka?.close()
  for (const link of links) await link.close()
})

/** Stores so many more numbered records, over a short time. */
const store = async (count: number): Promise<void> => {
  const cluster = openCentral(gateway.addresses.kafka)
  const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 30_000 })
  try {
    for (let left = count; left > 0; left -= 20) {
      const records = Array.from({ length: 20 }, () => {
        const number = numbered++
        return { timestampMs: Date.now(), key: Buffer.from(`k${number % 17}`), value: Buffer.from(String(number)) }
      })
      await producer.send(topic, records)
      await sleep(5)
    }
  } finally {
    cluster.close()
  }
}

const valuesOf = (records: CommittedRecords): string[][] =>
  records.partitions.map(own => own.map(({ value }) => String(value)))

const local = async (): Promise<string[][]> => {
  const cluster = openCentral(gateway.addresses.kafka)
  try {
    return valuesOf(await (await CommittedRecords.of(cluster, topic)).readOn())
  } finally {
    cluster.close()
  }
}

/** Waits until as many records as are stored can be read upstream, and compares all of them. */
const expectAllUpstream = async (): Promise<void> => {
  const endMs = Date.now() + patienceMs
  const here = await local()
  let upstream: string[][] = []
  while (upstream.flat().length < here.flat().length && Date.now() < endMs) {
    await sleep(200)
    // the leader may be another one by now
    const read = CommittedRecords.of(central, topic).then(records => records.readOn())
    upstream = await read.then(valuesOf, () => upstream)
  }
  expect(upstream).toEqual(here)
}

/** Waits while there is none. */
const leader = async (name = topic, partition = 0): Promise<KafkaBroker> => {
  await expect.poll(() => kafka.leaderOf(name, partition)).toBeGreaterThan(0)
  return kafka.broker(await kafka.leaderOf(name, partition))
}

const orders = 'orders'

/** Writes so many commands, spread over the partitions of `orders`; after a failure some of them again, which makes others of them. */
const order = async (count: number): Promise<void> => {
  const producer = new Producer(central, { compression: 'zstd', timeoutMs: 5_000, deliveryTimeoutMs: 60_000 })
  for (let left = count; left > 0; left--) {
    const records = Array.from({ length: 3 }, () => {
      const number = numbered++
      return { timestampMs: Date.now(), key: Buffer.from(`g7/k${number % 17}`), value: Buffer.from(String(number)) }
    })
    await producer.send(orders, records)
  }
}

/** Values of each key, in their order. */
const byKey = async (cluster: Cluster, name: string): Promise<Record<string, string[]>> => {
  const values: Record<string, string[]> = {}
  const records = await (await CommittedRecords.of(cluster, name)).readOn()
  for (const { key, value } of records.partitions.flat())
    (values[String(key).replace('g7/', '')] ??= []).push(`${value}`)
  return values
}

/** Waits until all commands are here, and compares. */
const expectAllDown = async (down: Gateway): Promise<void> => {
  let wanted: Record<string, string[]> = {}
  const read = async (): Promise<void> => {
    wanted = await byKey(central, orders)
  }
  // the leader may be another one by now
  await expect.poll(() => read().then(() => 'read', String), { timeout: patienceMs }).toBe('read')
  const cluster = openCentral(down.addresses.kafka)
  try {
    await expect.poll(() => byKey(cluster, 'commands'), { timeout: patienceMs, interval: 300 }).toEqual(wanted)
  } finally {
    cluster.close()
  }
}

describe('three brokers', { timeout: 4 * patienceMs }, () => {
  testWithApacheKafka(
    'a leader killed, stopped, frozen or cut off under load costs no record and doubles none',
    async () => {
      await store(200)
      await expectAllUpstream()
      const troubles: Record<string, () => Promise<void>> = {
        'kill -9 of a leader, and of the gateway before it is back': async () => {
          const broker = await leader()
          await broker.kill()
          await store(100)
          await gateway.kill()
          await gateway.restart()
          await broker.start()
        },
        'a leader that hands its partitions over': async () => {
          const broker = await leader()
          await broker.stop()
          await store(100)
          await broker.start()
        },
        'a leader that says nothing for a while': async () => {
          const broker = await leader()
          broker.freeze()
          await store(100)
          await sleep(6_000)
          broker.thaw()
        },
        'one way that swallows everything': async () => {
          const link = links[(await leader()).nodeId - 1]!
          link.blackHole()
          await store(100)
          await sleep(4_000)
          link.restore()
        },
      }
      for (const [name, trouble] of Object.entries(troubles)) {
        const load = store(300)
        await sleep(300)
        await Promise.all([load.catch(() => undefined), trouble()])
        await store(100)
        await expectAllUpstream().catch(error => {
          throw new Error(`after ${name}: ${(error as Error).message}\n${gateway.stderr.slice(-2000)}`)
        })
      }
    },
  )

  testWithApacheKafka('commands come down once and in order over TLS and SCRAM, whichever leader is gone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'brooklet-downlink-'))
    const authorities = join(directory, 'ca.pem')
    await writeFile(authorities, authority.cert)
    await createTopic(central, { name: orders, partitions: 3, replicationFactor: 3, configs: new Map() })
    const leaders = await Promise.all([0, 1, 2].map(partition => leader(orders, partition)))
    expect(new Set(leaders.map(({ nodeId }) => nodeId)).size).toBeGreaterThan(1)
    const down = await Gateway.start({
      settings: {
        'gateway.id': 'g7',
        downlink: JSON.stringify([{ topic: orders, key: '{gateway}/*', to: 'commands', from: 'earliest' }]),
        'uplink.topics.exclude': '*',
        'uplink.bootstrap.servers': kafka.bootstrapOf('SECURE'),
        'uplink.security.protocol': 'SASL_SSL',
        'uplink.ssl.truststore.location': authorities,
        'uplink.sasl.mechanism': 'SCRAM-SHA-512',
        'uplink.sasl.username': user.name,
        'uplink.sasl.password': user.password,
        'uplink.retry.backoff.ms': '50',
        'uplink.retry.backoff.max.ms': '500',
        'uplink.request.timeout.ms': '3s',
      },
    })
    try {
      await order(10)
      await expectAllDown(down)
      const troubles: Record<string, () => Promise<void>> = {
        'kill -9 of a leader, and of the gateway before it is back': async () => {
          const broker = await leader(orders, 0)
          await broker.kill()
          await down.kill()
          await down.restart()
          await order(10)
          await broker.start()
        },
        'a leader that hands its partitions over': async () => {
          const broker = await leader(orders, 1)
          await broker.stop()
          await order(10)
          await broker.start()
        },
      }
      for (const [name, trouble] of Object.entries(troubles)) {
        const writing = order(40)
        await trouble()
        await writing
        await expectAllDown(down).catch(error => {
          throw new Error(`after ${name}: ${(error as Error).message}\n${down.stderr.slice(-2000)}`)
        })
      }
      // what a restored log would ask for
      const gatewayAnswer = await fetch(`http://${down.addresses.http}/api/v1/gateway`)
      const { logId } = (await gatewayAnswer.json()) as GatewayOverview
      const told = async (): Promise<number[]> =>
        (await committedOffsets(central, takenGroupOf(logId)))
          .toSorted((one, other) => one.partition - other.partition)
          .map(({ offset }) => offset)
      const written = await CommittedRecords.of(central, orders).then(records => records.readOn())
      const ends = written.partitions.map(records => records.length)
      await expect.poll(told, { timeout: patienceMs, interval: 300 }).toEqual(ends)
    } finally {
      await down.dispose()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
