import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { BatchRefused } from '../../../src/client/produce-together.ts'
import { TransactionalProducer } from '../../../src/client/transactional-producer.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { findCoordinator } from '../../../src/wire/kafka/contracts/find-coordinator.ts'
import { initProducerId } from '../../../src/wire/kafka/contracts/init-producer-id.ts'
import { produce } from '../../../src/wire/kafka/contracts/produce.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { baseSequenceOf } from '../../../src/wire/kafka/record-batch.ts'
import { ScriptedBroker } from '../../support/scripted-broker.ts'

const topicId = `${'0'.repeat(31)}1`
let brokers: ScriptedBroker[]
let cluster: Cluster
/** What each broker got: partition and sequence. */
let got: string[][]

beforeEach(async () => {
  brokers = [await ScriptedBroker.start(0), await ScriptedBroker.start(1)]
  got = [[], []]
  const [first] = brokers
  for (const broker of brokers) broker.serveTopic(() => [0, 0, 1], brokers)
  first!.serve(findCoordinator, () => ({
    coordinators: [{ key: 'id', nodeId: 0, ...first!.address, errorCode: 0, errorMessage: null }],
  }))
  first!.serve(initProducerId, () => ({ errorCode: 0, producerId: 7, producerEpoch: 0 }))
  const bootstrap = [first!.address]
  const options = { clientId: 'test', connectTimeoutMs: 1000, requestTimeoutMs: 1000, softwareVersion: '1' }
  cluster = new Cluster(nodeNetwork, nodeClock, { ...options, bootstrap })
})

afterEach(async () => {
  cluster.close()
  await Promise.all(brokers.map(broker => broker.stop()))
})

/** A broker that answers for each batch what the test says; offset 10 and no error otherwise. */
const serveProduce = (node: number, answerTo: (partition: number) => object = () => ({})): void => {
  brokers[node]!.serve(produce, ({ topicData }) => ({
    responses: topicData.map(({ partitionData }) => ({
      name: 't',
      topicId,
      partitionResponses: partitionData.map(({ index, records }) => {
        got[node]!.push(`${index}:${baseSequenceOf(records!)}`)
        return { index, errorCode: 0, baseOffset: 10, ...answerTo(index) }
      }),
    })),
    nodeEndpoints: brokers.map(({ nodeId, address }) => ({ nodeId, ...address, rack: null })),
  }))
}

const batchFor = (partition: number) => ({
  topic: 't',
  partition,
  batch: Buffer.from(encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('x') }])),
})

const open = () =>
  TransactionalProducer.open(cluster, {
    transactionalId: 'id',
    transactionTimeoutMs: 10_000,
    produceTimeoutMs: 1_000,
  })

it('batches of a partition arrive in the order of the calls, whatever else those bring', async () => {
  serveProduce(0)
  serveProduce(1)
  const producer = await open()
  const sent = [[2, 1, 0], [0], [1, 0], [0, 2], [0]].map(partitions => producer.send(partitions.map(batchFor)))
  expect(await Promise.all(sent)).toEqual([[10, 10, 10], [10], [10, 10], [10, 10], [10]])
  const of = (node: number, partition: number) => got[node]!.filter(one => one.startsWith(`${partition}:`))
  expect(of(0, 0)).toEqual(['0:0', '0:1', '0:2', '0:3', '0:4'])
  expect(of(0, 1)).toEqual(['1:0', '1:1'])
  expect(of(1, 2)).toEqual(['2:0', '2:1'])
})

it('a batch goes to the leader that the one before names, with the same sequence and no other question (KIP-951)', async () => {
  const currentLeader = { leaderId: 1, leaderEpoch: 4 }
  serveProduce(0, index => (index === 0 ? { errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, currentLeader } : {}))
  serveProduce(1)
  const producer = await open()
  const asked = (): number => brokers.flatMap(broker => broker.asked).filter(name => name.startsWith('Metadata')).length
  await cluster.topic('t')
  const before = asked()
  expect(await producer.send([batchFor(0), batchFor(1)])).toEqual([10, 10])
  expect(got).toEqual([['0:0', '1:0'], ['0:0']])
  await producer.send([batchFor(0)])
  expect(got[1]).toEqual(['0:0', '0:1'])
  expect(asked()).toBe(before)
})

it('a leader that is no newer than the one known is not followed', async () => {
  const currentLeader = { leaderId: 1, leaderEpoch: 0 }
  serveProduce(0, () => ({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, currentLeader }))
  serveProduce(1)
  const producer = await open()
  await expect(producer.send([batchFor(0)])).rejects.toThrow(BatchRefused)
  expect(got).toEqual([['0:0'], []])
})
