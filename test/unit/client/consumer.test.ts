import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { readTogether } from '../../../src/client/fetch-together.ts'
import { GroupMember } from '../../../src/client/group-member.ts'
import type { TopicPartition } from '../../../src/client/partition-offsets.ts'
import { PartitionReader } from '../../../src/client/partition-reader.ts'
import { Producer } from '../../../src/client/producer.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'

let server: KafkaTestServer
let cluster: Cluster
let others: Cluster[] = []

const connect = (): Cluster =>
  new Cluster(nodeNetwork, nodeClock, {
    bootstrap: [{ host: '127.0.0.1', port: server.port }],
    clientId: 'test',
    connectTimeoutMs: 1000,
    requestTimeoutMs: 5000,
    softwareVersion: '1',
  })

beforeEach(async () => {
  server = await KafkaTestServer.start()
  cluster = connect()
  others = []
  server.open.broker.topics.create({ name: 't', partitions: 4 })
})

afterEach(async () => {
  for (const each of [cluster, ...others]) each.close()
  await server.stop()
})

const produce = async (partition: number, ...values: string[]): Promise<void> => {
  // a broker answers the requests of a connection in order: not behind a fetch that waits
  const other = connect()
  others.push(other)
  const producer = new Producer(other, { compression: 'gzip', timeoutMs: 1000, deliveryTimeoutMs: 1000 })
  const records = values.map(value => ({ timestampMs: 1, key: null, value: Buffer.from(value) }))
  await producer.send('t', records, partition)
}

const readers = (maxWaitMs: number): PartitionReader[] =>
  [0, 1, 2, 3].map(
    partition =>
      new PartitionReader(cluster, { topic: 't', partition }, 0, { maxWaitMs, maxBytes: 1 << 20, readCommitted: true }),
  )

const member = (of = cluster): GroupMember =>
  new GroupMember(of, { groupId: 'g', topics: ['t'], sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 })

it('reads all partitions of a leader with one request, so that none waits for the silence of another', async () => {
  const all = readers(60_000)
  await produce(3, 'x', 'y')
  expect((await readTogether(cluster, all)).map(({ value }) => value!.toString())).toEqual(['x', 'y'])
  expect(all.map(({ position }) => position)).toEqual([0, 0, 0, 2])
  expect(all[3]!.highWatermark).toBe(2)
  const waiting = readTogether(cluster, all)
  await produce(0, 'z')
  expect((await waiting).map(({ value, partition }) => [partition, value!.toString()])).toEqual([[0, 'z']])
})

it('goes on at the log start where the position has left the log', async () => {
  await produce(1, 'a', 'b', 'c')
  const { broker } = server.open
  await broker.deleteRecordsBefore(broker.topics.get('t').partitions[1]!, 2)
  const [, reader] = readers(10)
  expect(await reader!.read()).toEqual([])
  expect(reader!.position).toBe(2)
  expect((await reader!.read()).map(({ offset }) => offset)).toEqual([2])
})

it('gives what other partitions have before it says that one is wrong', async () => {
  await produce(1, 'a')
  const [, good] = readers(10)
  const wrong = new PartitionReader(cluster, { topic: 't', partition: 9 }, 0, good!.options)
  expect(await readTogether(cluster, [wrong, good!])).toHaveLength(1)
  await expect(readTogether(cluster, [wrong, good!])).rejects.toThrow(/has 4 partitions/)
})

it('tells who wants to hear it what is wrong with one partition, and throws nothing', async () => {
  await produce(1, 'a')
  const heard: string[] = []
  const onFailure = ({ partition }: TopicPartition, error: unknown) => heard.push(`${partition}: ${String(error)}`)
  const of = (partition: number) =>
    new PartitionReader(cluster, { topic: 't', partition }, 0, {
      maxWaitMs: 10,
      maxBytes: 1 << 20,
      readCommitted: true,
      onFailure,
    })
  const [wrong, good] = [of(9), of(1)]
  expect(await readTogether(cluster, [wrong, good])).toHaveLength(1)
  expect(await readTogether(cluster, [wrong])).toEqual([])
  expect(heard).toEqual(Array(2).fill(expect.stringMatching(/^9: .*has 4 partitions/)))
})

it('shares the partitions of a topic, and takes over those of a member that leaves', async () => {
  const first = member()
  expect(await first.poll()).toBe(true)
  expect([...first.assignment]).toEqual([['t', [0, 1, 2, 3]]])
  expect(await first.commit([{ topic: 't', partition: 2, offset: 7 }])).toBe(true)
  const other = connect()
  others.push(other)
  const second = member(other)
  const joining = second.poll()
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(await first.commit([{ topic: 't', partition: 2, offset: 8 }])).toBe(true)
  // the next heartbeat is not due yet: a commit in the new generation tells too
  const rejoin = async (): Promise<void> => {
    while (!(await first.poll())) {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  await Promise.all([joining, rejoin()])
  const all = [first, second].flatMap(({ assignment }) => assignment.get('t') ?? [])
  expect(all.sort()).toEqual([0, 1, 2, 3])
  expect(await first.committed().then(positions => positions.length)).toBe(2)
  await second.leave()
  await rejoin()
  expect([...first.assignment]).toEqual([['t', [0, 1, 2, 3]]])
  expect((await first.committed()).find(({ partition }) => partition === 2)!.offset).toBe(8)
  await first.leave()
})

it('learns from a commit that the group went on without it', async () => {
  const alone = member()
  await alone.poll()
  const described = await server.open.groups.describe('g')
  server.open.groups.leave({
    groupId: 'g',
    members: [{ memberId: described!.members[0]!.memberId, groupInstanceId: null }],
  })
  expect(await alone.commit([{ topic: 't', partition: 0, offset: 1 }])).toBe(false)
  expect(await alone.poll()).toBe(true)
  expect(await alone.commit([{ topic: 't', partition: 0, offset: 1 }])).toBe(true)
  await alone.leave()
})

it('leaves a group whose join is parked', async () => {
  const first = member()
  await first.poll()
  const other = connect()
  others.push(other)
  const second = member(other)
  second.poll().catch(() => undefined)
  await new Promise(resolve => setTimeout(resolve, 100))
  await second.leave()
  const described = await server.open.groups.describe('g')
  expect(described!.members).toHaveLength(1)
})

it('shares partitions that are added to a topic', async () => {
  const options = { groupId: 'g', topics: ['t', 'later'], sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 }
  const alone = new GroupMember(cluster, { ...options, metadataEveryMs: 0 })
  await alone.poll()
  expect(await alone.poll()).toBe(false)
  server.open.broker.topics.create({ name: 'later', partitions: 1 })
  expect(await alone.poll()).toBe(true)
  expect([...alone.assignment].map(([topic, partitions]) => [topic, partitions.length]).sort()).toEqual([
    ['later', 1],
    ['t', 4],
  ])
  expect(await alone.poll()).toBe(false)
  await alone.leave()
})
