import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { PartitionReader } from '../../../src/client/partition-reader.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'

let server: KafkaTestServer
let cluster: Cluster

beforeEach(async () => {
  server = await KafkaTestServer.start()
  cluster = new Cluster(nodeNetwork, nodeClock, {
    bootstrap: [{ host: '127.0.0.1', port: server.port }],
    clientId: 'reader',
    connectTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    softwareVersion: '1',
  })
})

afterEach(async () => {
  cluster.close()
  await server.stop()
})

it('a reader of one topic reads nothing of another that has its name', async () => {
  const { topics } = server.open.broker
  const { id: topicId } = topics.create({ name: 't', partitions: 1 })
  const options = { maxWaitMs: 10, maxBytes: 1 << 20, readCommitted: true }
  const reader = new PartitionReader(cluster, { topic: 't', partition: 0, topicId }, 0, options)
  const add = (): void => {
    const record = { timestampMs: 0, key: null, value: Buffer.from('v'), headers: [] }
    server.log.append([{ partition: topics.get('t').partitions[0]!, batch: encodeBatch([record]) }])
  }
  add()
  expect(await reader.read()).toHaveLength(1)
  topics.delete('t')
  topics.create({ name: 't', partitions: 1 })
  add()
  add()
  cluster.forget('t')
  await expect(reader.read()).rejects.toThrow('UNKNOWN_TOPIC_ID')
  expect(reader.position).toBe(1)
})
