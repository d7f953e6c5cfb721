import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { ConnectionLost, KafkaError } from '../../../src/client/kafka-error.ts'
import { latestOffset, offsetFor, offsetsFor } from '../../../src/client/partition-offsets.ts'
import { PartitionReader } from '../../../src/client/partition-reader.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { fetch } from '../../../src/wire/kafka/contracts/fetch.ts'
import { findCoordinator } from '../../../src/wire/kafka/contracts/find-coordinator.ts'
import { heartbeat } from '../../../src/wire/kafka/contracts/heartbeat.ts'
import { listOffsets } from '../../../src/wire/kafka/contracts/list-offsets.ts'
import { metadata } from '../../../src/wire/kafka/contracts/metadata.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { ScriptedBroker } from '../../support/scripted-broker.ts'

const options = { clientId: 'test', connectTimeoutMs: 1000, requestTimeoutMs: 200, softwareVersion: '1' }
let brokers: ScriptedBroker[] = []
let clusters: Cluster[] = []

beforeEach(() => {
  brokers = []
  clusters = []
})

afterEach(async () => {
  for (const cluster of clusters) cluster.close()
  await Promise.all(brokers.map(broker => broker.stop()))
})

const start = async (nodeId = 0): Promise<ScriptedBroker> => {
  const broker = await ScriptedBroker.start(nodeId)
  brokers.push(broker)
  return broker
}

const client = (...addresses: { host: string; port: number }[]): Cluster => {
  const cluster = new Cluster(nodeNetwork, nodeClock, { ...options, bootstrap: addresses })
  clusters.push(cluster)
  return cluster
}

const offsetAnswer = (errorCode: number, offset = 5) => ({
  topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode, offset, timestamp: -1 }] }],
})

it.each([
  [2, ['ApiVersions v3', 'ApiVersions v2']],
  [0, ['ApiVersions v3', 'ApiVersions v0']],
  [4, ['ApiVersions v3']],
])('agrees on versions with a broker whose ApiVersions ends at %i', async (newest, asked) => {
  const broker = await start()
  broker.apiVersionsMax = newest
  broker.serveTopic(() => [0])
  expect((await client(broker.address).topic('t')).partitions).toHaveLength(1)
  expect(broker.asked.slice(0, -1)).toEqual(asked)
})

it('uses the newest version that both have, and says when there is none', async () => {
  const broker = await start()
  broker.serveTopic(() => [0])
  broker.serve(listOffsets, () => offsetAnswer(0), [1, 3])
  const cluster = client(broker.address)
  expect(await offsetFor(cluster, { topic: 't', partition: 0 }, latestOffset)).toBe(5)
  expect(broker.asked.at(-1)).toBe('ListOffsets v3')
  const connection = await cluster.any()
  expect(connection.serves(heartbeat)).toBe(false)
  expect(() => connection.versionOf(heartbeat)).toThrow(KafkaError)
})

it('opens one connection however many ask at once, and another one when it is lost', async () => {
  const broker = await start()
  broker.serveTopic(() => [0])
  const cluster = client(broker.address)
  await Promise.all(Array.from({ length: 10 }, () => cluster.describe(['t'])))
  expect(broker.connections).toBe(1)
  broker.cut()
  await new Promise(resolve => setTimeout(resolve, 20))
  await cluster.describe(['t'])
  expect(broker.connections).toBe(2)
})

it('tells everybody who waits that the connection is lost', async () => {
  const broker = await start()
  broker.serve(metadata, () => 'silence')
  const cluster = client(broker.address)
  const asked = Promise.allSettled([cluster.describe(['a']), cluster.describe(['b'])])
  await new Promise(resolve => setTimeout(resolve, 50))
  broker.cut()
  for (const result of await asked)
    expect(result).toMatchObject({ status: 'rejected', reason: expect.any(ConnectionLost) })
})

it('takes a broker for dead that does not answer', async () => {
  const broker = await start()
  broker.serve(metadata, () => 'silence')
  await expect(client(broker.address).describe(['t'])).rejects.toThrow(/no answer to Metadata within 200 ms/)
})

it('waits for a large answer as long as it comes', async () => {
  const broker = await start()
  broker.serveTopic(() => [0])
  broker.trickleMs = 20
  // some two hundred bytes, ten at a time: longer than the time without an answer
  expect(await client(broker.address).describe(['t'])).toHaveLength(1)
})

it('names every address that refused', async () => {
  const gone = await start()
  const { address } = gone
  await gone.stop()
  brokers = []
  const failure = client(address, { host: 'localhost', port: address.port }).any()
  await expect(failure).rejects.toThrow(ConnectionLost)
  await expect(failure).rejects.toThrow(
    /127\.0\.0\.1:\d+: .*ECONNREFUSED.*; cannot connect to localhost:\d+: .*ECONNREFUSED/,
  )
})

it('asks a broker that it knows when no bootstrap address is left', async () => {
  const [first, second] = [await start(0), await start(1)]
  first.serveTopic(() => [1], brokers)
  second.serveTopic(() => [1], brokers)
  const cluster = client(first.address)
  await cluster.topic('t')
  await first.stop()
  brokers = [second]
  await new Promise(resolve => setTimeout(resolve, 20))
  expect((await cluster.topic('t', { refresh: true })).name).toBe('t')
})

it('refuses answers that are none', async () => {
  const broker = await start()
  broker.serveTopic(() => [0])
  const cluster = client(broker.address)
  const connection = await cluster.any()
  broker.serve(metadata, () => 'close')
  await expect(connection.request(metadata, { topics: null, allowAutoTopicCreation: false })).rejects.toThrow(
    ConnectionLost,
  )
  expect(connection.usable).toBe(false)
  cluster.close()
  await expect(cluster.any()).rejects.toThrow(/closed/)
})

it('follows a partition to its new leader', async () => {
  const [first, second] = [await start(0), await start(1)]
  let leader = 0
  for (const broker of brokers) {
    broker.serveTopic(() => [leader], brokers)
    broker.serve(listOffsets, () => {
      if (broker.nodeId === leader) return offsetAnswer(0, 100 + leader)
      return offsetAnswer(errorCodes.NOT_LEADER_OR_FOLLOWER, -1)
    })
  }
  const cluster = client(first.address)
  expect(await offsetFor(cluster, { topic: 't', partition: 0 }, latestOffset)).toBe(100)
  leader = 1
  expect(await offsetFor(cluster, { topic: 't', partition: 0 }, latestOffset)).toBe(101)
  expect(second.asked.filter(name => name.startsWith('ListOffsets'))).toHaveLength(1)
})

it('a reader goes to the leader that the one before names, without another question (KIP-951)', async () => {
  const [first, second] = [await start(0), await start(1)]
  const fetched = (partition: object) => ({
    responses: [
      {
        topicId: `${'0'.repeat(31)}1`,
        partitions: [
          { partitionIndex: 0, errorCode: 0, highWatermark: 7, abortedTransactions: null, records: null, ...partition },
        ],
      },
    ],
    nodeEndpoints: brokers.map(({ nodeId, address }) => ({ nodeId, ...address, rack: null })),
  })
  for (const broker of brokers) broker.serveTopic(() => [0], brokers)
  const currentLeader = { leaderId: 1, leaderEpoch: 3 }
  first.serve(fetch, () => fetched({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, currentLeader }))
  second.serve(fetch, () => fetched({}))
  const source = { topic: 't', partition: 0 }
  const reader = new PartitionReader(client(first.address), source, 0, {
    maxWaitMs: 0,
    maxBytes: 1024,
    readCommitted: true,
  })
  expect(await reader.read()).toEqual([])
  expect(reader.highWatermark).toBe(7)
  const asked = (broker: ScriptedBroker, api: string): number =>
    broker.asked.filter(name => name.startsWith(`${api} `)).length
  expect([asked(first, 'Fetch'), asked(second, 'Fetch')]).toEqual([1, 1])
  expect([asked(first, 'Metadata'), asked(second, 'Metadata')]).toEqual([1, 0])
})

it('asks each leader once for the offsets of all its partitions', async () => {
  const [first, second] = [await start(0), await start(1)]
  const count = 1000
  for (const broker of brokers) {
    broker.serveTopic(() => Array.from({ length: count }, (_, partition) => partition % 2), brokers)
    broker.serve(listOffsets, ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        // the answer may come in any order
        partitions: partitions.toReversed().map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: 0,
          offset: partitionIndex * 10,
          timestamp: -1,
        })),
      })),
    }))
  }
  const sources = Array.from({ length: count }, (_, partition) => ({ topic: 't', partition }))
  const offsets = await offsetsFor(client(first.address), sources, latestOffset)
  expect(offsets).toEqual(sources.map(({ partition }) => partition * 10))
  for (const { asked } of [first, second]) expect(asked.filter(name => name.startsWith('ListOffsets'))).toHaveLength(1)
})

it('waits for a leader that is being elected', async () => {
  const broker = await start()
  let asked = 0
  broker.serveTopic(() => [++asked < 3 ? -1 : 0])
  broker.serve(listOffsets, () => offsetAnswer(0))
  expect(await offsetFor(client(broker.address), { topic: 't', partition: 0 }, latestOffset)).toBe(5)
  expect(asked).toBe(3)
})

it('finds a coordinator once, and again when it was forgotten', async () => {
  const broker = await start()
  let code: number = errorCodes.COORDINATOR_NOT_AVAILABLE
  broker.serve(findCoordinator, () => {
    const found = { errorCode: code, nodeId: 0, ...broker.address }
    code = 0
    return { coordinators: [{ ...found, key: 'g', errorMessage: null }] }
  })
  const cluster = client(broker.address)
  await cluster.coordinator('g')
  await cluster.coordinator('g')
  const asked = () => broker.asked.filter(name => name.startsWith('FindCoordinator')).length
  expect(asked()).toBe(2)
  cluster.forgetCoordinator('g')
  await cluster.coordinator('g')
  expect(asked()).toBe(3)
})

it('waits for a topic that is made because it was asked for, not for one that nobody makes', async () => {
  const broker = await start()
  const cluster = client(broker.address)
  let unknown = 2
  broker.serve(metadata, ({ topics, allowAutoTopicCreation }) => ({
    brokers: [{ nodeId: 0, ...broker.address, rack: null }],
    clusterId: 'c',
    controllerId: 0,
    topics: (topics ?? []).map(({ name }) => ({
      // brokers of KRaft say so while they make it
      errorCode: allowAutoTopicCreation && --unknown < 0 ? 0 : errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
      name,
      topicId: `${'0'.repeat(31)}1`,
      isInternal: false,
      partitions: [],
    })),
  }))
  await expect(cluster.topic('late')).rejects.toThrow('there is no such topic')
  expect(unknown).toBe(2)
  expect((await cluster.topic('late', { create: true })).name).toBe('late')
})

it('hears from itself what the protocol has no room for', async () => {
  const broker = await start()
  broker.serveTopic(() => [0])
  const cluster = client(broker.address)
  await expect(cluster.describe(['x'.repeat(40_000)])).rejects.toThrow(/^Metadata: INVALID_REQUEST \(.*longer than/)
  expect(await cluster.describe(['t'])).toHaveLength(1)
  expect(broker.connections).toBe(1)
})
