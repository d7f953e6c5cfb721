import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker } from '../../../src/broker/broker.ts'
import type { Topic } from '../../../src/broker/topics.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { AT, attributesOf, seal, writeInt64 } from '../../../src/wire/kafka/record-batch.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'

let server: KafkaTestServer
let broker: Broker

beforeEach(async () => {
  server = await KafkaTestServer.start({ settings: { 'partitions.max': 20 } })
  broker = server.open.broker
})

afterEach(() => server.stop())

const batchAt = (timestamps: readonly number[], producer?: { producerId: number; baseSequence: number }): Buffer =>
  encodeBatch(
    timestamps.map(timestampMs => ({ timestampMs, key: Buffer.from('k'), value: Buffer.from(`${timestampMs}`) })),
    producer === undefined ? {} : { producer: { ...producer, producerEpoch: 0 } },
  )

const store = async (topic: Topic, batch: Buffer): Promise<number> => {
  const { baseOffset, group } = await broker.produce(topic, 0, batch, { zstd: true })
  await broker.whenDurable(group!)
  return baseOffset
}

describe('produce', () => {
  it('appends in the order of the calls, before they return', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    const results = Array.from({ length: 10 }, () => broker.produce(topic, 0, batchAt([1, 2]), { zstd: true }))
    expect(broker.offsets(topic.partitions[0]!).logEnd).toBe(20)
    const offsets = (await Promise.all(results)).map(({ baseOffset }) => baseOffset)
    expect(offsets).toEqual(offsets.map((_, index) => index * 2))
  })

  it('answers repeats that overtake each other with one original', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1, configs: new Map([['cleanup.policy', 'compact']]) })
    const repeats = Array.from({ length: 5 }, () =>
      broker.produce(topic, 0, batchAt([1], { producerId: 9, baseSequence: 0 }), { zstd: true }),
    )
    const results = await Promise.all(repeats)
    expect(new Set(results.map(({ baseOffset }) => baseOffset))).toEqual(new Set([0]))
    expect(broker.offsets(topic.partitions[0]!).logEnd).toBe(1)
    expect(new Set(results.map(({ group }) => group)).size).toBe(1)
  })

  it('does not append to a topic that went while its batch was looked into', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1, configs: new Map([['cleanup.policy', 'compact']]) })
    const producing = broker.produce(topic, 0, batchAt([1]), { zstd: true })
    broker.topics.delete('t')
    await expect(producing).rejects.toMatchObject({ kind: 'unknownTopic' })
  })

  it('changes nothing when the log has no room', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    await broker.topics.durable()
    server.log.held = true
    server.log.maxWaitingGroups = 0
    const batch = batchAt([1], { producerId: 9, baseSequence: 0 })
    await expect(broker.produce(topic, 0, batch, { zstd: true })).rejects.toMatchObject({ kind: 'memoryFull' })
    server.log.maxWaitingGroups = 100
    server.log.release()
    expect(await store(topic, batch)).toBe(0)
  })

  it('gives producer ids only when they are durable', async () => {
    server.log.held = true
    let given = false
    const asked = broker.newProducerId().then(id => {
      given = true
      return id
    })
    await new Promise(setImmediate)
    expect(given).toBe(false)
    server.log.release()
    expect(await broker.newProducerId()).toBeGreaterThan(await asked)
  })
})

describe('search by time', () => {
  it('finds the first record, within a batch too, and nothing beyond the end', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    await store(topic, batchAt([100, 200, 150]))
    await store(topic, batchAt([300]))
    const [partition] = topic.partitions
    expect(await broker.findOffset(partition!, 120)).toMatchObject({ offset: 1, timestampMs: 200 })
    expect(await broker.findOffset(partition!, 201)).toMatchObject({ offset: 3, timestampMs: 300 })
    expect(await broker.findOffset(partition!, 301)).toBeUndefined()
    expect(await broker.findMaxTimestamp(partition!)).toMatchObject({ offset: 3, timestampMs: 300 })
  })

  it('goes on behind a batch whose header promises a time that no record has', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    const liar = batchAt([100])
    writeInt64(liar, AT.maxTimestamp, 900)
    seal(liar)
    await store(topic, liar)
    await store(topic, batchAt([150]))
    await store(topic, batchAt([800]))
    expect(await broker.findOffset(topic.partitions[0]!, 700)).toMatchObject({ offset: 2, timestampMs: 800 })
  })

  it('gives the place of a batch that cannot be decoded', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    await store(topic, batchAt([50]))
    const broken = batchAt([100])
    broken.writeInt16BE(attributesOf(broken) | 1, AT.attributes)
    seal(broken)
    await store(topic, broken)
    expect(await broker.findOffset(topic.partitions[0]!, 70)).toMatchObject({ offset: 1, timestampMs: 100 })
  })

  it('never finds what was deleted', async () => {
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    await store(topic, batchAt([100, 200, 300]))
    const [partition] = topic.partitions
    await broker.deleteRecordsBefore(partition!, 2)
    expect(await broker.findOffset(partition!, 50)).toMatchObject({ offset: 2, timestampMs: 300 })
  })
})

describe('topics', () => {
  it('count partitions over creation, growth and deletion', () => {
    const { topics } = broker
    topics.create({ name: 'a', partitions: 12 })
    expect(() => topics.create({ name: 'b', partitions: 9 })).toThrow(/partitions.max is 20/)
    topics.create({ name: 'b', partitions: 2 })
    topics.addPartitions('b', 8)
    expect(() => topics.addPartitions('b', 9)).toThrow(/partitions.max/)
    topics.delete('a')
    topics.create({ name: 'c', partitions: 12 })
  })

  it('never give a partition id twice', () => {
    const { topics } = broker
    const first = topics.create({ name: 'a', partitions: 3 })
    topics.delete('a')
    const second = topics.create({ name: 'a', partitions: 3 })
    expect(second.id).not.toBe(first.id)
    expect(Math.min(...second.partitions)).toBeGreaterThan(Math.max(...first.partitions))
  })

  it('are deleted with state of any size, and tell who listens even when the log cannot drop the data yet', async () => {
    const { topics } = broker
    const topic = topics.create({ name: 'a', partitions: 1 })
    const heard: string[] = []
    topics.onChange(({ name }, change) => heard.push(`${name} ${change}`))
    for (let producerId = 0; producerId < 1500; producerId++) {
      await broker.produce(topic, 0, batchAt([1], { producerId, baseSequence: 0 }), { zstd: true })
    }
    topics.delete('a')
    expect(heard).toEqual(['a deleted'])
    expect(topics.find('a')).toBeUndefined()
    expect([...server.log.partitions()]).not.toContain(topic.partitions[0])
  })
})

it('DeleteRecords of others is answered only when it is durable', async () => {
  const topic = broker.topics.create({ name: 't', partitions: 1 })
  await store(topic, batchAt([1, 2, 3]))
  const [partition] = topic.partitions
  expect(await broker.deleteRecordsBefore(partition!, 2)).toBe(2)
  expect(await broker.deleteRecordsBefore(partition!, 1)).toBe(2)
  await expect(broker.deleteRecordsBefore(partition!, 4)).rejects.toMatchObject({ kind: 'offsetOutOfRange' })
})
