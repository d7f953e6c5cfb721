import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { ConnectionLost } from '../../../src/client/kafka-error.ts'
import { Producer } from '../../../src/client/producer.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { initProducerId } from '../../../src/wire/kafka/contracts/init-producer-id.ts'
import { produce } from '../../../src/wire/kafka/contracts/produce.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { baseSequenceOf, producerIdOf, recordCountOf } from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, openRecords } from '../../../src/wire/kafka/records.ts'
import { FlakyNetwork } from '../../support/flaky-network.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import { type Reaction, ScriptedBroker } from '../../support/scripted-broker.ts'
import { SimRandom } from '../../support/sim/random.ts'

const clientOptions = { clientId: 'test', connectTimeoutMs: 1000, requestTimeoutMs: 300, softwareVersion: '1' }
const producerOptions = { compression: 'none', timeoutMs: 200, deliveryTimeoutMs: 5000 } as const
const record = (value: string) => ({ timestampMs: 1, key: null, value: Buffer.from(value) })

describe('against a broker that does what it is told', () => {
  let broker: ScriptedBroker
  let cluster: Cluster
  let ids = 0
  /** Producer id and sequence of each batch that arrived. */
  let batches: string[] = []

  beforeEach(async () => {
    broker = await ScriptedBroker.start()
    broker.serveTopic(() => [0])
    ids = 0
    batches = []
    broker.serve(initProducerId, () => ({ errorCode: 0, producerId: ++ids, producerEpoch: 0 }))
    cluster = new Cluster(nodeNetwork, nodeClock, { ...clientOptions, bootstrap: [broker.address] })
  })

  afterEach(async () => {
    cluster.close()
    await broker.stop()
  })

  const answer = (errorCode: number, baseOffset = 10): Reaction<typeof produce> => ({
    responses: [
      { name: 't', topicId: `${'0'.repeat(31)}1`, partitionResponses: [{ index: 0, errorCode, baseOffset }] },
    ],
  })

  /** The n-th produce request meets the n-th reaction, the last one stays. */
  const react = (...reactions: Reaction<typeof produce>[]): void => {
    broker.serve(produce, ({ topicData }) => {
      const batch = topicData[0]!.partitionData[0]!.records!
      batches.push(`${producerIdOf(batch)}/${baseSequenceOf(batch)}+${recordCountOf(batch)}`)
      return reactions.length > 1 ? reactions.shift()! : reactions[0]!
    })
  }

  it('numbers records on and says where they are', async () => {
    react(answer(0))
    const producer = new Producer(cluster, producerOptions)
    expect(await producer.send('t', [record('a'), record('b')])).toEqual([{ partition: 0, baseOffset: 10, count: 2 }])
    await producer.send('t', [record('c')])
    expect(batches).toEqual(['1/0+2', '1/2+1'])
  })

  it.each([
    ['a connection that ends', 'close' as const],
    ['no answer', 'silence' as const],
    ['a leader that moved', answer(errorCodes.NOT_LEADER_OR_FOLLOWER)],
    ['a failed sync', answer(errorCodes.KAFKA_STORAGE_ERROR)],
  ])('repeats the same batch after %s', async (_what, reaction) => {
    react(reaction, reaction, answer(0))
    await new Producer(cluster, producerOptions).send('t', [record('a')])
    expect(batches).toEqual(['1/0+1', '1/0+1', '1/0+1'])
    expect(broker.asked.filter(name => name.startsWith('Metadata')).length).toBeGreaterThan(1)
  })

  it('takes a duplicate for stored', async () => {
    react('close', answer(errorCodes.DUPLICATE_SEQUENCE_NUMBER))
    const stored = await new Producer(cluster, producerOptions).send('t', [record('a')])
    expect(stored).toEqual([{ partition: 0, baseOffset: -1, count: 1 }])
  })

  it('does not repeat what the broker will never take, and goes on under another identity', async () => {
    react(answer(errorCodes.MESSAGE_TOO_LARGE), answer(0))
    const producer = new Producer(cluster, producerOptions)
    await expect(producer.send('t', [record('a')])).rejects.toThrow(/MESSAGE_TOO_LARGE/)
    await producer.send('t', [record('b')])
    expect(batches).toEqual(['1/0+1', '2/0+1'])
  })

  it('begins anew with a broker that forgot its sequences', async () => {
    react(answer(0), answer(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER), answer(0))
    const producer = new Producer(cluster, producerOptions)
    await producer.send('t', [record('a')])
    await producer.send('t', [record('b')])
    expect(batches).toEqual(['1/0+1', '1/1+1', '2/0+1'])
  })

  it('does not begin anew with a batch that may be stored: that could double it', async () => {
    react(answer(0), 'close', answer(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER), answer(0))
    const producer = new Producer(cluster, producerOptions)
    await producer.send('t', [record('a')])
    await expect(producer.send('t', [record('b')])).rejects.toThrow(/OUT_OF_ORDER/)
    await producer.send('t', [record('c')])
    expect(batches).toEqual(['1/0+1', '1/1+1', '1/1+1', '2/0+1'])
  })

  it('gives up after deliveryTimeoutMs, and never uses an unsure sequence again', async () => {
    react('close')
    const producer = new Producer(cluster, { ...producerOptions, deliveryTimeoutMs: 300 })
    await expect(producer.send('t', [record('a')])).rejects.toThrow(ConnectionLost)
    react(answer(0))
    await producer.send('t', [record('b')])
    expect(batches.at(-1)).toBe('2/0+1')
  })

  it('works without producer ids where the broker has none', async () => {
    const old = await ScriptedBroker.start()
    old.serveTopic(() => [0])
    let seen: Buffer | undefined
    old.serve(
      produce,
      ({ topicData }) => {
        seen = topicData[0]!.partitionData[0]!.records!
        return answer(0)
      },
      [3, 3],
    )
    const other = new Cluster(nodeNetwork, nodeClock, { ...clientOptions, bootstrap: [old.address] })
    await new Producer(other, producerOptions).send('t', [record('a')])
    expect(producerIdOf(seen!)).toBe(-1)
    expect(old.asked.at(-1)).toBe('Produce v3')
    other.close()
    await old.stop()
  })

  it('splits what is too much for one batch', async () => {
    react(answer(0))
    const large = 'x'.repeat(300_000)
    await new Producer(cluster, producerOptions).send('t', [record(large), record(large), record('a')])
    expect(batches).toEqual(['1/0+1', '1/1+2'])
  })

  it('says that a partition does not exist, without trying again', async () => {
    react(answer(0))
    await expect(new Producer(cluster, producerOptions).send('t', [record('a')], 3)).rejects.toThrow(/has 1 partitions/)
    await expect(new Producer(cluster, producerOptions).send('other', [record('a')])).rejects.toThrow(/UNKNOWN_TOPIC/)
  })
})

it.each([1, 2])('loses and doubles nothing over a network that cuts connections: seed %i', async seed => {
  const server = await KafkaTestServer.start()
  const network = new FlakyNetwork(new SimRandom(seed))
  const address = { host: '127.0.0.1', port: server.port }
  const cluster = new Cluster(network, nodeClock, { ...clientOptions, bootstrap: [address] })
  try {
    const { broker } = server.open
    broker.topics.create({ name: 't', partitions: 2 })
    const producer = new Producer(cluster, { ...producerOptions, deliveryTimeoutMs: 15_000 })
    await producer.send('t', [{ timestampMs: 1, key: Buffer.from('first'), value: null }])
    network.cuts = 0.15
    const sends: Promise<unknown>[] = []
    for (let index = 0; index < 120; index++) sends.push(producer.send('t', [record(`${index}`)], index % 2))
    await Promise.all(sends)
    network.cuts = 0
    for (const [index, partition] of broker.topics.get('t').partitions.entries()) {
      const { batches } = await broker.read(partition, 0, 1 << 20)
      const values = batches
        .flatMap(batch => allRecords(openRecords(batch)))
        .flatMap(({ value }) => value?.toString() ?? [])
      expect(values).toEqual(Array.from({ length: 60 }, (_, each) => `${each * 2 + index}`))
    }
    expect(network.ended).toBeGreaterThan(5)
  } finally {
    cluster.close()
    await server.stop()
  }
})
