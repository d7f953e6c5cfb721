import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { ApacheKafka, type KafkaBroker, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'

/** The uplink and three brokers of Apache Kafka with replication factor 3, of which one after the other is taken away under load. */

const patienceMs = 90_000
const topic = 'sensors'
const partitions = 3

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
  const listeners = { LINK: { protocol: 'PLAINTEXT', advertised } } as const
  kafka = await ApacheKafka.start({ brokers: 3, listeners, settings: { 'auto.create.topics.enable': 'false' } })
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
const leader = async (): Promise<KafkaBroker> => {
  await expect.poll(() => kafka.leaderOf(topic, 0)).toBeGreaterThan(0)
  return kafka.broker(await kafka.leaderOf(topic, 0))
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
})
