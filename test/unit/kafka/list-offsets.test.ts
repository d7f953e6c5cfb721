import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { listOffsets } from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { AT, seal } from '../../../src/wire/kafka/record-batch.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient

const batchAt = (...timestamps: number[]): Buffer =>
  encodeBatch(timestamps.map(timestampMs => ({ timestampMs, key: null, value: Buffer.from('v') })))

beforeEach(async () => {
  server = await KafkaTestServer.start()
  client = await server.connect()
  const { broker } = server.open
  const topic = broker.topics.ensure('t')
  await broker.produce(topic, 0, batchAt(100, 300, 200), { zstd: true })
  const { group } = await broker.produce(topic, 0, await compressBatch(batchAt(400, 250), 'gzip'), { zstd: true })
  await broker.whenDurable(group!)
})
afterEach(() => server.stop())

async function at(timestamp: number, version = 11, partitionIndex = 0, name = 't', currentLeaderEpoch = -1) {
  const topics = [{ name, partitions: [{ partitionIndex, timestamp, currentLeaderEpoch }] }]
  const {
    errorCode,
    offset,
    timestamp: found,
  } = (await client.request(listOffsets, version, { replicaId: -1, topics })).topics[0]!.partitions[0]!
  return { errorCode, offset, timestamp: found }
}

describe('list offsets', () => {
  it.each([
    ['latest', -1, { offset: 5, timestamp: -1 }],
    ['earliest', -2, { offset: 0, timestamp: -1 }],
    ['largest timestamp', -3, { offset: 3, timestamp: 400 }],
    ['earliest local', -4, { offset: 0, timestamp: -1 }],
    ['latest tiered', -5, { offset: -1, timestamp: -1 }],
    ['earliest pending upload', -6, { offset: -1, timestamp: -1 }],
    ['a time before all', 0, { offset: 0, timestamp: 100 }],
    ['the first record at a time, not the nearest', 150, { offset: 1, timestamp: 300 }],
    ['a time inside a compressed batch', 301, { offset: 3, timestamp: 400 }],
    ['a time after all', 401, { offset: -1, timestamp: -1 }],
  ])('%s', async (_what, timestamp, expected) => {
    expect(await at(timestamp)).toEqual({ errorCode: 0, ...expected })
  })

  it('refuses a partition that is named twice, and looks up the others', async () => {
    const partitions = [0, 0, 1].map(partitionIndex => ({ partitionIndex, timestamp: -1 }))
    const [answer] = (await client.request(listOffsets, 7, { replicaId: -1, topics: [{ name: 't', partitions }] }))
      .topics
    expect(answer!.partitions.map(({ errorCode }) => errorCode)).toEqual([
      errorCodes.INVALID_REQUEST,
      errorCodes.INVALID_REQUEST,
      0,
    ])
  })

  it('of an empty partition', async () => {
    expect(await at(-1, 11, 1)).toMatchObject({ errorCode: 0, offset: 0 })
    expect(await at(-3, 11, 1)).toMatchObject({ errorCode: 0, offset: -1 })
    expect(await at(0, 11, 1)).toMatchObject({ errorCode: 0, offset: -1 })
  })

  it.each([
    [-3, 6],
    [-4, 7],
    [-5, 8],
    [-6, 10],
    [-7, 11],
  ])('timestamp %i means nothing in version %i', async (timestamp, version) => {
    expect((await at(timestamp, version)).errorCode).toBe(errorCodes.UNSUPPORTED_VERSION)
  })

  it.each([
    ['an unknown topic', 0, 'none', -1, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ['an unknown partition', 4, 't', -1, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ['an old leader epoch', 0, 't', 0, errorCodes.FENCED_LEADER_EPOCH],
    ['a leader epoch to come', 0, 't', 2, errorCodes.UNKNOWN_LEADER_EPOCH],
  ])('refuses %s', async (_what, partition, name, epoch, code) => {
    expect(await at(-1, 11, partition, name, epoch)).toEqual({ errorCode: code, offset: -1, timestamp: -1 })
  })

  it('survives a batch that its producer compressed wrongly: we store batches as they come', async () => {
    const { broker } = server.open
    const broken = batchAt(900)
    broken.writeInt16BE(1, AT.attributes)
    seal(broken)
    const { group } = await broker.produce(broker.topics.get('t'), 2, broken, { zstd: true })
    await broker.whenDurable(group!)
    expect(await at(800, 11, 2)).toMatchObject({ errorCode: errorCodes.NONE, offset: 0, timestamp: 900 })
    expect((await at(-1, 11, 2)).offset).toBe(1)
  })

  it('says that the topic is gone when it goes while it is looked up', async () => {
    for (const timestamp of [150, -3]) {
      const topic = server.open.broker.topics.create({ name: `gone${timestamp}` })
      let open = (): void => {}
      server.log.readGate = new Promise(resolve => {
        open = resolve
      })
      const reads = server.log.reads
      const lookup = at(timestamp, 11, 0, topic.name)
      while (server.log.reads === reads) await new Promise(setImmediate)
      server.open.broker.topics.delete(topic.name)
      open()
      expect((await lookup).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
    }
  })

  it('shows durable records only', async () => {
    const { broker } = server.open
    server.log.held = true
    await broker.produce(broker.topics.get('t'), 0, batchAt(500), { zstd: true })
    expect((await at(-1)).offset).toBe(5)
    expect((await at(500)).offset).toBe(-1)
  })
})
