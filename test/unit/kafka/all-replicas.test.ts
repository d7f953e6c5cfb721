import { afterEach, beforeEach, expect, it } from 'vitest'
import { decodeResponse } from '../../../src/wire/kafka/api.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { createTopics, metadata, produce } from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

// min.insync.replicas=2 as producers see it

let server: KafkaTestServer
let client: KafkaTestClient
let through: number
let skipped: number | undefined

const replica = () => server.open.broker.replica
const logEnd = (topic: string): number => {
  const { topics } = server.open.broker
  return server.open.broker.offsets(topics.get(topic).partitions[0]!).logEnd
}
/** Comes after the answers to everything that was sent before on other connections and could be answered. */
const settle = async (): Promise<void> => {
  const other = await server.connect()
  for (let round = 0; round < 5; round++) await other.request(metadata, 9, { topics: [] })
}
const bodyOf = (topics: readonly string[], acks: number, timeoutMs: number) => ({
  acks,
  timeoutMs,
  topicData: topics.map(name => ({ name, partitionData: [{ index: 0, records: batch() }] })),
})
const batch = (): Buffer => encodeBatch([{ timestampMs: 100, key: null, value: Buffer.from('a') }])
const codesOf = ({ responses }: { responses: readonly { partitionResponses: readonly { errorCode: number }[] }[] }) =>
  responses.map(({ partitionResponses }) => partitionResponses[0]!.errorCode)
/** The first batch of an idempotent producer. */
const idempotent = () => ({
  ...bodyOf(['both'], -1, 60_000),
  topicData: [
    {
      name: 'both',
      partitionData: [
        {
          index: 0,
          records: encodeBatch([{ timestampMs: 100, key: null, value: Buffer.from('a') }], {
            producer: { producerId: 7, producerEpoch: 0, baseSequence: 0 },
          }),
        },
      ],
    },
  ],
})
/** The answer to what is sent now, when it comes. */
const produced = async (topics: readonly string[], acks = -1, timeoutMs = 60_000): Promise<number[]> =>
  codesOf(await client.request(produce, 9, bodyOf(topics, acks, timeoutMs)))
const seen = <Value>(promise: Promise<Value>): { value?: Value } => {
  const box: { value?: Value } = {}
  void promise.then(value => {
    box.value = value
  })
  return box
}

const start = async (lagMaxMs: number): Promise<void> => {
  through = 0
  skipped = undefined
  server = await KafkaTestServer.start({
    settings: { 'replica.lag.time.max.ms': lagMaxMs },
    upstream: {
      upstreamThrough: () => through,
      isGivenUp: (_topic, _partition, offset) => offset === skipped,
      staysHere: () => undefined,
    },
  })
  client = await server.connect()
  const { topics } = server.open.broker
  topics.create({ name: 'both', partitions: 1, configs: new Map([['min.insync.replicas', '2']]) })
  topics.create({ name: 'here', partitions: 1 })
}

beforeEach(() => start(3_600_000))
afterEach(() => server.stop())

it('acks=all waits until the central cluster has the batch, acks=1 does not, and answers keep their order', async () => {
  replica().connected()
  expect(await produced(['both'], 1)).toEqual([0])
  through = 1
  const waiting = seen(produced(['both', 'here']))
  const behind = seen(produced(['here']))
  await settle()
  expect([waiting, behind, logEnd('both'), logEnd('here')]).toEqual([{}, {}, 2, 2])
  through = 2
  replica().advanced()
  await settle()
  expect([waiting, behind]).toEqual([{ value: [0, 0] }, { value: [0] }])
})

it('while it is out of sync acks=all appends nothing, and other topics and acks=1 go on', async () => {
  expect(await produced(['both', 'here'])).toEqual([errorCodes.NOT_ENOUGH_REPLICAS, 0])
  expect([logEnd('both'), logEnd('here')]).toEqual([0, 1])
  expect(await produced(['both'], 1)).toEqual([0])
  expect(logEnd('both')).toBe(1)
})

it('what is appended and does not come up is refused after its append, or times out while the link stands', async () => {
  replica().connected()
  expect(await produced(['both'], -1, 20)).toEqual([errorCodes.REQUEST_TIMED_OUT])
  await server.stop()
  await start(300)
  replica().connected()
  const refused = produced(['both'])
  await settle()
  replica().disconnected()
  expect(await refused).toEqual([errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
  expect([logEnd('both'), replica().waiting]).toEqual([1, 0])
})

it('an idempotent producer that repeats its batch has it once, and its answer when it is upstream', async () => {
  replica().connected()
  const first = client.request(produce, 9, idempotent())
  const other = await server.connect()
  const second = seen(other.request(produce, 9, idempotent()).then(codesOf))
  await settle()
  expect([second, logEnd('both')]).toEqual([{}, 1])
  through = 1
  replica().advanced()
  expect(codesOf(await first)).toEqual([0])
  await settle()
  expect(second).toEqual({ value: [0] })
})

it('a batch that was given up is not acknowledged when its producer repeats it', async () => {
  replica().connected()
  const first = client.request(produce, 9, idempotent())
  await settle()
  through = 1
  skipped = 0
  replica().gaveUp(server.open.broker.topics.get('both').partitions[0]!, 1)
  expect(codesOf(await first)).toEqual([errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
  expect(codesOf(await client.request(produce, 9, idempotent()))).toEqual([errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
  expect(await produced(['both'], 1)).toEqual([0])
})

it('a client that is gone leaves nobody waiting', async () => {
  replica().connected()
  client.send(produce, 9, bodyOf(['both'], -1, 60_000))
  await settle()
  expect(replica().waiting).toBe(1)
  client.destroy()
  await client.closed
  await settle()
  expect(replica().waiting).toBe(0)
})

it('a topic that stays here cannot be made with it', async () => {
  await server.stop()
  server = await KafkaTestServer.start()
  client = await server.connect()
  const configs = [{ name: 'min.insync.replicas', value: '2' }]
  const wanted = { name: 'both', numPartitions: 1, replicationFactor: -1, assignments: [], configs }
  client.send(createTopics, 5, { topics: [wanted], timeoutMs: 1_000, validateOnly: false })
  const { topics } = decodeResponse(createTopics, 5, await client.frame()).body
  expect(topics[0]).toMatchObject({
    errorCode: errorCodes.INVALID_CONFIG,
    errorMessage:
      'topic config min.insync.replicas: 2 is this gateway and the central cluster, and there is none (uplink.bootstrap.servers); nearest: 1',
  })
})
