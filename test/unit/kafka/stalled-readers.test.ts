import { afterEach, expect, it } from 'vitest'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { apiVersions, fetch, produce } from '../../../src/wire/kafka/contracts/index.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'
import { settle, VirtualClock } from '../../support/virtual-clock.ts'

const MiB = 1 << 20
let server: KafkaTestServer
afterEach(() => server.stop())

/** Waits for something that happens in some turn of the event loop; the test's own limit ends it when it never does. */
const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await settle()
}

const fetchRequest = { maxWaitMs: 0, minBytes: 0, maxBytes: MiB, forgottenTopicsData: [], rackId: '' }
const fetchFirst = {
  ...fetchRequest,
  topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: MiB }] }],
}

const fill = async (client: KafkaTestClient): Promise<void> => {
  server.open.broker.topics.ensure('t')
  const records = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.alloc(900_000) }])
  const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
  await client.request(produce, 7, { acks: -1, timeoutMs: 1000, topicData })
}

/** Asks for so much that some of it stays in our memory. */
const stalledReader = async (): Promise<KafkaTestClient> => {
  const reader = await server.connect()
  reader.socket.pause()
  const before = server.memory.usedBytes
  for (let request = 0; request < 30; request++) reader.send(fetch, 11, fetchFirst)
  await until(() => server.memory.usedBytes > before + 500_000)
  return reader
}

it('cuts a reader that takes nothing once others wait for memory, and not before', async () => {
  const clock = new VirtualClock()
  server = await KafkaTestServer.start({ clock })
  const client = await server.connect()
  await fill(client)
  const reader = await stalledReader()
  // nobody waits: no reason to cut anybody
  await clock.advance(60_000)
  expect(server.metrics.count('kafkaRefusedConnections', 'memory')).toBe(0)
  // so much that relief depends on the reader
  const rest = server.memory.limitBytes - server.memory.usedBytes
  server.memory.take(rest)
  client.send(apiVersions, 0, {})
  await until(() => server.memory.awaited)
  server.memory.give(1)
  expect(server.memory.exhausted).toBe(false)
  await clock.advance(6_000)
  expect(server.metrics.count('kafkaRefusedConnections', 'memory')).toBe(1)
  reader.destroy()
  server.memory.give(rest - 1)
  expect(server.memory.awaited).toBe(false)
  await until(() => server.memory.usedBytes === 0)
})

it('gives a fetch nothing while answers that nobody takes fill their share, and data again afterwards', async () => {
  server = await KafkaTestServer.start({ clock: new VirtualClock(), memoryBytes: 4 * MiB })
  const client = await server.connect()
  await fill(client)
  const bytesOf = async (): Promise<number> =>
    (await client.request(fetch, 11, fetchFirst)).responses[0]!.partitions[0]!.records!.length
  expect(await bytesOf()).toBeGreaterThan(900_000)
  const reader = await stalledReader()
  expect(await bytesOf()).toBe(0)
  reader.destroy()
  await until(() => server.memory.usedBytes === 0)
  expect(await bytesOf()).toBeGreaterThan(900_000)
})
