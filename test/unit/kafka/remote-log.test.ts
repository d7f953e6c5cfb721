import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RemoteLog, RemoteRead } from '../../../src/broker/remote-log.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { deleteRecords, fetch, listOffsets } from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { stamp } from '../../../src/wire/kafka/record-batch.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient
let start: number | undefined
let answer: RemoteRead
let deleted: number[]

const batchOf = (baseOffset: number, count: number): Buffer => {
  const batch = encodeBatch(
    Array.from({ length: count }, () => ({ timestampMs: 1, key: null, value: Buffer.from('v') })),
  )
  stamp(batch, baseOffset, -1)
  return batch
}

const remote: RemoteLog = {
  read: () => answer,
  totalStart: async () => start,
  knownStart: () => start,
  deleteBefore: async (_topic, _partition, offset) => void deleted.push(offset),
}

beforeEach(async () => {
  ;[start, answer, deleted] = [4, { kind: 'awaited' }, []]
  server = await KafkaTestServer.start({ remote })
  client = await server.connect()
  const { broker } = server.open
  const topic = broker.topics.ensure('t')
  const { group } = await broker.produce(topic, 0, batchOf(0, 20), { zstd: true })
  await broker.whenDurable(group!)
  await broker.deleteRecordsBefore(topic.partitions[0]!, 10)
})
afterEach(() => server.stop())

const offsetAt = async (timestamp: number, version = 11) => {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp, currentLeaderEpoch: -1 }] }]
  const { errorCode, offset } = (await client.request(listOffsets, version, { replicaId: -1, topics })).topics[0]!
    .partitions[0]!
  return { errorCode, offset }
}

const read = async (fetchOffset: number, maxWaitMs = 0) => {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }]
  const body = {
    maxWaitMs,
    minBytes: 1,
    maxBytes: 1 << 20,
    topics: [{ topic: 't', partitions }],
    forgottenTopicsData: [],
  }
  const { errorCode, logStartOffset, records } = (await client.request(fetch, 12, body)).responses[0]!.partitions[0]!
  return { errorCode, logStartOffset, records: records?.length === 0 ? 'none' : records }
}

describe('with records in the central cluster that have left the log', () => {
  it('the total start comes before the local one', async () => {
    expect(await offsetAt(-2)).toEqual({ errorCode: 0, offset: 4 })
    expect(await offsetAt(-4)).toEqual({ errorCode: 0, offset: 10 })
    start = 10
    expect(await offsetAt(-2)).toEqual({ errorCode: 0, offset: 10 })
  })

  it('a total start that is not known is an error that clients repeat', async () => {
    start = undefined
    expect(await offsetAt(-2)).toEqual({ errorCode: errorCodes.OFFSET_NOT_AVAILABLE, offset: -1 })
    expect(await offsetAt(-2, 4)).toEqual({ errorCode: errorCodes.LEADER_NOT_AVAILABLE, offset: -1 })
    expect(await offsetAt(-4)).toEqual({ errorCode: 0, offset: 10 })
  })

  it('a fetch gets what there is, nothing without an error while it is awaited, and an error when it is gone', async () => {
    expect(await read(6)).toEqual({ errorCode: 0, logStartOffset: 4, records: 'none' })
    answer = { kind: 'batches', batches: [batchOf(6, 2)] }
    expect(await read(6)).toEqual({ errorCode: 0, logStartOffset: 4, records: batchOf(6, 2) })
    answer = { kind: 'gone' }
    expect(await read(6)).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE })
    expect(await read(10)).toMatchObject({ errorCode: 0 })
  })

  it('a fetch that has no room for them does not end before its time', async () => {
    answer = { kind: 'batches', batches: [batchOf(6, 2)] }
    const partitions = [
      { partition: 0, fetchOffset: 10, partitionMaxBytes: 1 << 20 },
      { partition: 0, fetchOffset: 6, partitionMaxBytes: 1 },
    ]
    const limits = { maxWaitMs: 600_000, minBytes: batchOf(0, 20).length + 1, maxBytes: 1 << 20 }
    const body = { ...limits, topics: [{ topic: 't', partitions }], forgottenTopicsData: [] }
    const waiting = client.request(fetch, 12, body)
    const { broker } = server.open
    const stop = setInterval(() => void broker.produce(broker.topics.get('t'), 0, batchOf(0, 1), { zstd: true }), 20)
    const [local, remote] = (await waiting).responses[0]!.partitions
    clearInterval(stop)
    expect(local!.records!.length).toBeGreaterThan(batchOf(0, 20).length)
    expect(remote).toMatchObject({ errorCode: 0, records: Buffer.alloc(0) })
  })

  it('a fetch that waits is woken when they come', async () => {
    const waiting = read(6, 600_000)
    const { broker } = server.open
    const stop = setInterval(() => {
      answer = { kind: 'batches', batches: [batchOf(6, 2)] }
      broker.wakeReaders(broker.topics.get('t').partitions[0]!)
    }, 20)
    expect(await waiting).toMatchObject({ errorCode: 0, records: batchOf(6, 2) })
    clearInterval(stop)
  })

  it('DeleteRecords holds for them, too', async () => {
    const deleteTo = async (offset: number) => {
      const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }]
      return (await client.request(deleteRecords, 2, { topics, timeoutMs: 1000 })).topics[0]!.partitions[0]!
    }
    expect(await deleteTo(7)).toMatchObject({ errorCode: 0, lowWatermark: 7 })
    expect(await deleteTo(12)).toMatchObject({ errorCode: 0, lowWatermark: 12 })
    expect(await deleteTo(21)).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE })
    expect(deleted).toEqual([7, 12])
  })
})
