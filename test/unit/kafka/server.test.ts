import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { apiVersions, fetch, listOffsets, metadata, produce } from '../../../src/wire/kafka/contracts/index.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'

describe('kafka server', () => {
  let server: KafkaTestServer
  beforeEach(async () => {
    server = await KafkaTestServer.start()
  })
  afterEach(() => server.stop())

  it('takes a record from Produce to Fetch', async () => {
    const client = await server.connect()
    const versions = await client.request(apiVersions, 4, { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' })
    expect(versions.apiKeys).toContainEqual({ apiKey: 0, minVersion: 0, maxVersion: 13 })
    const meta = await client.request(metadata, 13, { topics: [{ name: 'sensors' }] })
    const topicId = meta.topics[0]!.topicId
    expect(meta.brokers).toEqual([{ nodeId: 1, host: '127.0.0.1', port: server.port, rack: null }])
    expect(meta.topics[0]!.partitions).toHaveLength(4)
    const records = encodeBatch([{ timestampMs: 5, key: Buffer.from('k'), value: Buffer.from('v') }])
    const topicData = [{ topicId, partitionData: [{ index: 2, records }] }]
    const produced = await client.request(produce, 13, { acks: -1, timeoutMs: 1000, topicData })
    expect(produced.responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 })
    const wanted = { partition: 2, fetchOffset: 0, partitionMaxBytes: 1 << 20 }
    const fetched = await client.request(fetch, 18, {
      maxWaitMs: 1000,
      minBytes: 1,
      topics: [{ topicId, partitions: [wanted] }],
    })
    const partition = fetched.responses[0]!.partitions[0]!
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 1, lastStableOffset: 1, logStartOffset: 0 })
    expect(partition.records!.length).toBe(records.length)
    const listed = await client.request(listOffsets, 11, {
      replicaId: -1,
      topics: [{ name: 'sensors', partitions: [{ partitionIndex: 2, timestamp: -1 }] }],
    })
    expect(listed.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, offset: 1, leaderEpoch: 1 })
  })
})
