import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ResponseOf } from '../../../src/wire/kafka/api.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import {
  deleteRecords,
  deleteTopics,
  fetch,
  initProducerId,
  offsetForLeaderEpoch,
  produce,
} from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { AT, baseOffsetOf, leaderEpochOf, seal } from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, openRecords } from '../../../src/wire/kafka/records.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient

beforeEach(async () => {
  server = await KafkaTestServer.start()
  client = await server.connect()
})
afterEach(() => server.stop())

const batchOf = (...values: string[]): Buffer =>
  encodeBatch(values.map(value => ({ timestampMs: 100, key: null, value: Buffer.from(value) })))

async function produceTo(topic: string, records: Buffer | null, version = 9, index = 0, acks = -1) {
  const topicData = [{ name: topic, partitionData: [{ index, records }] }]
  const { responses } = await client.request(produce, version, { acks, timeoutMs: 1000, topicData })
  return responses[0]!.partitionResponses[0]!
}

type FetchOptions = {
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
  isolationLevel?: number
  epoch?: number
  lastEpoch?: number
}

async function fetchFrom(topic: string, offset: number, options: FetchOptions = {}) {
  const { maxWaitMs = 0, minBytes = 1, maxBytes = 1 << 20, isolationLevel = 0, epoch = -1, lastEpoch = -1 } = options
  const wanted = { partition: 0, fetchOffset: offset, partitionMaxBytes: maxBytes }
  const partitions = [{ ...wanted, currentLeaderEpoch: epoch, lastFetchedEpoch: lastEpoch }]
  const body = { maxWaitMs, minBytes, maxBytes, isolationLevel, topics: [{ topic, partitions }] }
  const answer: ResponseOf<typeof fetch> = await client.request(fetch, 12, body)
  return answer.responses[0]!.partitions[0]!
}

describe('produce', () => {
  it('keeps the batch as it came but for base offset and leader epoch', async () => {
    server.open.broker.topics.ensure('t')
    const first = batchOf('a', 'b', 'c')
    await produceTo('t', first)
    const second = await compressBatch(batchOf('d', 'e'), 'lz4')
    expect(await produceTo('t', second)).toMatchObject({
      errorCode: 0,
      baseOffset: 3,
      logStartOffset: 0,
      logAppendTimeMs: -1,
    })
    const { records, highWatermark } = await fetchFrom('t', 4)
    expect(highWatermark).toBe(5)
    // from the batch that contains the offset
    expect([baseOffsetOf(records!), leaderEpochOf(records!)]).toEqual([3, 1])
    expect(records!.subarray(AT.magic)).toEqual(second.subarray(AT.magic))
  })

  const damaged = (change: (batch: Buffer) => void, sealed = true): Buffer => {
    const batch = batchOf('x', 'y')
    change(batch)
    if (sealed) seal(batch)
    return batch
  }

  it.each([
    ['nothing', null, errorCodes.INVALID_RECORD],
    ['a wrong CRC', damaged(batch => batch.writeUInt32BE(1, AT.crc), false), errorCodes.CORRUPT_MESSAGE],
    ['a cut batch', batchOf('x').subarray(0, -1), errorCodes.CORRUPT_MESSAGE],
    ['two batches', Buffer.concat([batchOf('x'), batchOf('y')]), errorCodes.INVALID_RECORD],
    ['magic 1', damaged(batch => batch.writeInt8(1, AT.magic)), errorCodes.INVALID_RECORD],
    ['a control batch', damaged(batch => batch.writeInt16BE(0x20, AT.attributes)), errorCodes.INVALID_RECORD],
    ['a transactional batch', damaged(batch => batch.writeInt16BE(0x10, AT.attributes)), errorCodes.INVALID_TXN_STATE],
    ['codec 5', damaged(batch => batch.writeInt16BE(5, AT.attributes)), errorCodes.UNSUPPORTED_COMPRESSION_TYPE],
    ['append time', damaged(batch => batch.writeInt16BE(8, AT.attributes)), errorCodes.INVALID_TIMESTAMP],
    ['a wrong count', damaged(batch => batch.writeInt32BE(3, AT.recordCount)), errorCodes.INVALID_RECORD],
    ['too many bytes', batchOf('x'.repeat(1 << 20)), errorCodes.MESSAGE_TOO_LARGE],
  ])('refuses %s and appends nothing', async (_what, records, code) => {
    const partition = server.open.broker.topics.ensure('t').partitions[0]!
    const answer = await produceTo('t', records)
    expect(answer).toMatchObject({ errorCode: code, baseOffset: -1 })
    expect(answer.errorMessage).not.toBeNull()
    expect(server.log.offsets(partition).logEnd).toBe(0)
  })

  it('refuses zstd before version 7', async () => {
    server.open.broker.topics.ensure('t')
    const records = await compressBatch(batchOf('x'), 'zstd')
    expect((await produceTo('t', records, 6)).errorCode).toBe(errorCodes.UNSUPPORTED_COMPRESSION_TYPE)
    expect((await produceTo('t', records, 7)).errorCode).toBe(0)
  })

  it('answers each partition for itself', async () => {
    server.open.broker.topics.ensure('t')
    const partitionData = [0, 9, 1].map(index => ({ index, records: batchOf('x') }))
    const topicData = [
      { name: 't', partitionData },
      { name: 'none', partitionData: partitionData.slice(0, 1) },
    ]
    const { responses } = await client.request(produce, 8, { acks: 1, timeoutMs: 1000, topicData })
    const codes = responses.map(({ partitionResponses }) => partitionResponses.map(({ errorCode }) => errorCode))
    expect(codes).toEqual([[0, 3, 0], [3]])
  })

  it('refuses acks other than -1, 0 and 1', async () => {
    server.open.broker.topics.ensure('t')
    expect((await produceTo('t', batchOf('x'), 8, 0, 2)).errorCode).toBe(errorCodes.INVALID_REQUIRED_ACKS)
  })

  it('names the records without a key of a compacted topic', async () => {
    server.open.broker.topics.create({ name: 'c', configs: new Map([['cleanup.policy', 'compact']]) })
    const keyed = (key: string | null) => ({ timestampMs: 1, key: key === null ? null : Buffer.from(key), value: null })
    const answer = await produceTo('c', encodeBatch([keyed('a'), keyed(null), keyed('b'), keyed(null)]))
    expect(answer.errorCode).toBe(errorCodes.INVALID_RECORD)
    expect(answer.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3])
  })

  it('stamps the append time where the topic says so', async () => {
    server.open.broker.topics.create({ name: 'a', configs: new Map([['message.timestamp.type', 'LogAppendTime']]) })
    const answer = await produceTo('a', batchOf('x'))
    expect(answer.logAppendTimeMs).toBeGreaterThan(1_600_000_000_000)
    const [record] = allRecords(openRecords((await fetchFrom('a', 0)).records!))
    expect(record!.timestampMs).toBe(answer.logAppendTimeMs)
  })

  it('answers a repeat of an idempotent batch with the offset of the original, once in the log', async () => {
    server.open.broker.topics.ensure('t')
    const { producerId } = await client.request(initProducerId, 5, { transactionalId: null, transactionTimeoutMs: 0 })
    const batch = (baseSequence: number) =>
      encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('v') }], {
        producer: { producerId, producerEpoch: 0, baseSequence },
      })
    for (let sequence = 0; sequence < 5; sequence++)
      expect((await produceTo('t', batch(sequence))).baseOffset).toBe(sequence)
    expect(await produceTo('t', batch(1))).toMatchObject({ errorCode: 0, baseOffset: 1 })
    expect((await produceTo('t', batch(9))).errorCode).toBe(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect((await fetchFrom('t', 0)).highWatermark).toBe(5)
  })

  it('refuses transactional ids', async () => {
    const body = { transactionalId: 'tx', transactionTimeoutMs: 1000 }
    expect((await client.request(initProducerId, 4, body)).errorCode).toBe(errorCodes.INVALID_REQUEST)
  })
})

describe('fetch', () => {
  beforeEach(async () => {
    server.open.broker.topics.ensure('t')
    for (let count = 0; count < 4; count++) await produceTo('t', batchOf(`${count}`.repeat(1000)))
  })

  it('gives one batch at least, and no more than fit', async () => {
    const count = (records: Buffer | null) => Math.round(records!.length / 1070)
    expect(count((await fetchFrom('t', 0, { maxBytes: 1 })).records)).toBe(1)
    expect(count((await fetchFrom('t', 0, { maxBytes: 0 })).records)).toBe(1)
    expect(count((await fetchFrom('t', 0, { maxBytes: 2500 })).records)).toBe(2)
    expect(count((await fetchFrom('t', 1)).records)).toBe(3)
  })

  it('gives the first batch to the first partition with data only', async () => {
    const partitions = [1, 0].map(partition => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 }))
    await produceTo('t', batchOf('other'), 8, 1)
    const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 1, topics: [{ topic: 't', partitions }] }
    const { responses } = await client.request(fetch, 11, body)
    expect(responses[0]!.partitions.map(({ records }) => records!.length > 0)).toEqual([true, false])
  })

  it('says where the log begins and ends, and refuses offsets outside', async () => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset: 2 }] }]
    const deleted = await client.request(deleteRecords, 2, { topics, timeoutMs: 1000 })
    expect(deleted.topics[0]!.partitions[0]).toMatchObject({ lowWatermark: 2, errorCode: 0 })
    expect(await fetchFrom('t', 4)).toMatchObject({ errorCode: 0, logStartOffset: 2, highWatermark: 4 })
    expect((await fetchFrom('t', 1)).errorCode).toBe(errorCodes.OFFSET_OUT_OF_RANGE)
    expect((await fetchFrom('t', 5)).errorCode).toBe(errorCodes.OFFSET_OUT_OF_RANGE)
  })

  it('lists aborted transactions for read_committed only', async () => {
    expect((await fetchFrom('t', 0, { isolationLevel: 0 })).abortedTransactions).toBeNull()
    expect((await fetchFrom('t', 0, { isolationLevel: 1 })).abortedTransactions).toEqual([])
  })

  it('wakes when records come, holding only its request meanwhile', async () => {
    const other = await server.connect()
    const waiting = fetchFrom('t', 4, { maxWaitMs: 60_000 })
    while (server.metrics.count('kafkaBytesIn') < 4500) await new Promise(setImmediate)
    expect(server.memory.usedBytes).toBeLessThan(200)
    await other.request(produce, 8, {
      acks: 1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf('new') }] }],
    })
    expect(openRecords((await waiting).records!).next()).toBe(true)
  })

  it('does not show what is not synced', async () => {
    server.log.held = true
    const other = await server.connect()
    other.send(produce, 8, {
      acks: 1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf('new') }] }],
    })
    while (server.log.offsets(server.open.broker.topics.get('t').partitions[0]!).logEnd < 5)
      await new Promise(setImmediate)
    expect(await fetchFrom('t', 4)).toMatchObject({ errorCode: 0, highWatermark: 4 })
    const waiting = fetchFrom('t', 4, { maxWaitMs: 60_000 })
    server.log.release()
    expect((await waiting).highWatermark).toBe(5)
  })

  it('waits for min bytes, not longer than max wait', async () => {
    const { records } = await fetchFrom('t', 0, { minBytes: 1 << 20, maxWaitMs: 30 })
    expect(records!.length).toBeGreaterThan(4000)
  })

  it('ends when the topic is deleted', async () => {
    const other = await server.connect()
    const waiting = fetchFrom('t', 4, { maxWaitMs: 60_000 })
    await other.request(deleteTopics, 1, { topicNames: ['t'], timeoutMs: 1000 })
    expect((await waiting).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('knows topics by id from version 13 on', async () => {
    const { id } = server.open.broker.topics.get('t')
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
    const topics = [
      { topicId: id, partitions },
      { topicId: 'ab'.repeat(16), partitions },
    ]
    const { responses } = await client.request(fetch, 13, { maxWaitMs: 0, minBytes: 1, topics })
    expect(responses.map(({ partitions }) => partitions[0]!.errorCode)).toEqual([0, errorCodes.UNKNOWN_TOPIC_ID])
  })

  it('has no sessions', async () => {
    const request = (sessionId: number, sessionEpoch: number) =>
      client.request(fetch, 7, { maxWaitMs: 0, minBytes: 1, sessionId, sessionEpoch, topics: [] })
    expect(await request(0, 0)).toMatchObject({ errorCode: 0, sessionId: 0 })
    expect((await request(7, 1)).errorCode).toBe(errorCodes.FETCH_SESSION_ID_NOT_FOUND)
    expect((await request(0, 1)).errorCode).toBe(errorCodes.INVALID_FETCH_SESSION_EPOCH)
  })
})

describe('leader epochs', () => {
  /** Offsets 0 and 1 in epoch 1, 2 in epoch 3, and epoch 4 without records. */
  beforeEach(async () => {
    server.open.broker.topics.ensure('t')
    await produceTo('t', batchOf('a', 'b'))
    server.log.logEpoch = 3
    await produceTo('t', batchOf('c'))
    server.log.logEpoch = 4
  })

  it('fences clients with an older epoch, and asks those with a newer one to wait', async () => {
    expect((await fetchFrom('t', 0, { epoch: 3 })).errorCode).toBe(errorCodes.FENCED_LEADER_EPOCH)
    expect((await fetchFrom('t', 0, { epoch: 4 })).errorCode).toBe(0)
    expect((await fetchFrom('t', 0, { epoch: 5 })).errorCode).toBe(errorCodes.UNKNOWN_LEADER_EPOCH)
  })

  it.each([
    [0, { leaderEpoch: 0, endOffset: 0 }],
    [1, { leaderEpoch: 1, endOffset: 2 }],
    [2, { leaderEpoch: 1, endOffset: 2 }],
    [3, { leaderEpoch: 3, endOffset: 3 }],
    [4, { leaderEpoch: 4, endOffset: 3 }],
    [5, { leaderEpoch: -1, endOffset: -1 }],
  ])('epoch %i ends where the next one begins', async (leaderEpoch, expected) => {
    const topics = [{ topic: 't', partitions: [{ partition: 0, leaderEpoch }] }]
    const answer = await client.request(offsetForLeaderEpoch, 4, { topics })
    expect(answer.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, ...expected })
  })

  it('tells a fetch whose last record is not in our log where the logs part', async () => {
    const diverged = await fetchFrom('t', 3, { lastEpoch: 2 })
    expect(diverged.divergingEpoch).toEqual({ epoch: 1, endOffset: 2 })
    expect(diverged.records).toHaveLength(0)
    expect((await fetchFrom('t', 2, { lastEpoch: 1 })).divergingEpoch).toEqual({ epoch: -1, endOffset: -1 })
  })
})
