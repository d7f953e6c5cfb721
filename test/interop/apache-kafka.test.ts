import { Kafka, logLevel } from 'kafkajs'
import { afterEach, expect } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { ApacheKafka, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { makeCertificate } from '../support/test-certificates.ts'

/** What the tests of the uplink stand on: a real cluster whose brokers can be taken away. */

const open: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

const connected = (bootstrap: string): Cluster => {
  const cluster = openCentral(bootstrap)
  open.push(cluster)
  return cluster
}

testWithApacheKafka('three brokers keep what was acknowledged when a leader is killed', async () => {
  const kafka = await ApacheKafka.start({ brokers: 3, settings: { 'auto.create.topics.enable': 'false' } })
  open.push(kafka)
  const cluster = connected(kafka.bootstrap)
  await createTopic(cluster, { name: 'kept', partitions: 3, replicationFactor: 3, configs: new Map() })
  const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 60_000 })
  const send = async (text: string): Promise<void> => {
    for (const partition of [0, 1, 2])
      await producer.send('kept', [{ key: null, value: Buffer.from(text), timestampMs: Date.now() }], partition)
  }
  await send('with all')
  const leader = kafka.broker(await kafka.leaderOf('kept', 0))
  await leader.kill()
  await send('with two')
  expect(await kafka.leaderOf('kept', 0)).not.toBe(leader.nodeId)
  await leader.start()
  await send('with all again')
  const sent = ['with all', 'with two', 'with all again']
  const { partitions } = await (await CommittedRecords.of(cluster, 'kept')).readOn()
  expect(partitions.map(records => records.map(({ value }) => value!.toString()))).toEqual([sent, sent, sent])
})

testWithApacheKafka('one broker with TLS and passwords', async () => {
  const authority = makeCertificate('test authority', { isCa: true })
  const certificates = { authority, server: makeCertificate('localhost', { issuer: authority }) }
  const kafka = await ApacheKafka.start({
    listeners: { SECURE: { protocol: 'SASL_SSL' }, OPEN: { protocol: 'SASL_PLAINTEXT' } },
    users: [{ name: 'alice', password: 'wonder land' }],
    certificates,
  })
  open.push(kafka)
  const tryWith = async (
    listener: string,
    mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512',
    password: string,
  ) => {
    const client = new Kafka({
      brokers: [kafka.bootstrapOf(listener)],
      ssl: listener === 'SECURE' && { ca: authority.cert },
      sasl: { mechanism, username: 'alice', password } as never,
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    }).admin()
    try {
      await client.connect()
      return (await client.describeCluster()).brokers.length
    } finally {
      await client.disconnect()
    }
  }
  for (const listener of ['SECURE', 'OPEN']) {
    for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
      expect(await tryWith(listener, mechanism, 'wonder land'), `${mechanism} on ${listener}`).toBe(1)
      await expect(tryWith(listener, mechanism, 'wrong')).rejects.toThrow()
    }
  }
})
