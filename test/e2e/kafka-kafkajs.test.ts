import { type Consumer, type EachMessagePayload, Kafka, logLevel } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'

let gateway: Gateway
const setUp = async (): Promise<void> => {
  gateway = await Gateway.start({ settings: { 'group.initial.rebalance.delay.ms': '100' } })
}
shareSetup(setUp, () => gateway?.dispose())

const client = (): Kafka =>
  new Kafka({
    clientId: 'e2e',
    brokers: [gateway.addresses.kafka],
    logLevel: logLevel.NOTHING,
    retry: { retries: 8, initialRetryTime: 50 },
  })

const values = (from: number, to: number): { key: string; value: string }[] =>
  Array.from({ length: to - from }, (_, index) => ({ key: `key-${(from + index) % 17}`, value: String(from + index) }))

async function send(topic: string, messages: { key: string; value: string }[]): Promise<void> {
  const producer = client().producer()
  await producer.connect()
  await producer.send({ topic, messages })
  await producer.disconnect()
}

/** A member of a group, with what it has read; offsets are committed after each message. */
async function member(groupId: string, topic: string, seen: EachMessagePayload[]): Promise<Consumer> {
  const consumer = client().consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitThreshold: 1,
    eachMessage: async payload => {
      seen.push(payload)
    },
  })
  return consumer
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise(resolve => setTimeout(resolve, 20))
}

const numbers = (seen: readonly EachMessagePayload[]): number[] =>
  seen.map(({ message }) => Number(message.value)).sort((one, other) => one - other)

const range = (to: number): number[] => Array.from({ length: to }, (_, index) => index)

describe('kafkajs', () => {
  it('reads what it wrote, once, in order of each partition', async () => {
    await send('plain', values(0, 500))
    const seen: EachMessagePayload[] = []
    const consumer = await member('readers', 'plain', seen)
    await until(() => seen.length >= 500)
    expect(numbers(seen)).toEqual(range(500))
    for (const partition of range(4)) {
      const offsets = seen
        .filter(payload => payload.partition === partition)
        .map(({ message }) => Number(message.offset))
      expect(offsets).toEqual(range(offsets.length))
    }
    await consumer.disconnect()
  })

  it('shares the partitions of a group, rebalances when members come and go, and goes on where it left off', async () => {
    await send('work', values(0, 100))
    const seen: EachMessagePayload[] = []
    const first = await member('team', 'work', seen)
    await until(() => new Set(numbers(seen)).size === 100)
    const second = await member('team', 'work', seen)
    const third = await member('team', 'work', seen)
    const admin = client().admin()
    await admin.connect()
    const membersOf = async () => (await admin.describeGroups(['team'])).groups[0]!
    for (
      let group = await membersOf();
      group.members.length < 3 || group.state !== 'Stable';
      group = await membersOf()
    ) {
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    await send('work', values(100, 300))
    await until(() => new Set(numbers(seen)).size === 300)
    await Promise.all([second.disconnect(), third.disconnect()])
    await send('work', values(300, 400))
    await until(() => new Set(numbers(seen)).size === 400)
    await first.disconnect()
    const committed = await admin.fetchOffsets({ groupId: 'team', topics: ['work'] })
    const sum = committed[0]!.partitions.reduce((total, { offset }) => total + Number(offset), 0)
    expect(sum).toBe(400)
    // nothing is read again by the next member
    const later: EachMessagePayload[] = []
    const again = await member('team', 'work', later)
    await send('work', values(400, 410))
    await until(() => later.length >= 10)
    expect(numbers(later)).toEqual(range(410).slice(400))
    await again.disconnect()
    await admin.disconnect()
  })

  it('finds topics, offsets and configs again after a kill, and reads on where it was', async () => {
    await send('kept', values(0, 200))
    const seen: EachMessagePayload[] = []
    const consumer = await member('keepers', 'kept', seen)
    await until(() => seen.length >= 200)
    await consumer.disconnect()
    await gateway.kill()
    await gateway.restart()
    await send('kept', values(200, 250))
    const later: EachMessagePayload[] = []
    const again = await member('keepers', 'kept', later)
    await until(() => later.length >= 50)
    expect(numbers(later)).toEqual(range(250).slice(200))
    await again.disconnect()
  })

  it('administers topics, configs, partitions, groups and offsets', async () => {
    const admin = client().admin()
    await admin.connect()
    const cluster = await admin.describeCluster()
    expect(cluster.brokers).toHaveLength(1)
    expect(cluster.controller).toBe(1)
    const configEntries = [{ name: 'retention.ms', value: '60000' }]
    expect(
      await admin.createTopics({ topics: [{ topic: 'made', numPartitions: 2, replicationFactor: 1, configEntries }] }),
    ).toBe(true)
    await admin.createPartitions({ topicPartitions: [{ topic: 'made', count: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] })
    expect(topics[0]!.partitions.map(({ leader }) => leader)).toEqual([1, 1, 1])
    const resources = [{ type: 2, name: 'made' }]
    const described = await admin.describeConfigs({ resources, includeSynonyms: false })
    expect(
      described.resources[0]!.configEntries.find(({ configName }) => configName === 'retention.ms')!.configValue,
    ).toBe('60000')
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: 'made', configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }],
    })
    await send('made', [{ key: 'a', value: '1' }])
    const ends = await admin.fetchTopicOffsets('made')
    expect(ends.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(1)
    const written = ends.find(({ offset }) => offset === '1')!.partition
    const byTime = await admin.fetchTopicOffsetsByTimestamp('made', Date.now() - 60_000)
    expect(byTime.find(({ partition }) => partition === written)!.offset).toBe('0')
    await admin.deleteTopicRecords({ topic: 'made', partitions: [{ partition: written, offset: '1' }] })
    expect((await admin.fetchTopicOffsets('made'))[written]!.low).toBe('1')
    await admin.setOffsets({ groupId: 'manual', topic: 'made', partitions: [{ partition: written, offset: '1' }] })
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toContain('manual')
    await admin.deleteGroups(['manual'])
    await admin.deleteTopics({ topics: ['made'] })
    expect(await admin.listTopics()).not.toContain('made')
    await admin.disconnect()
  })

  it('writes idempotently', async () => {
    const producer = client().producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (const number of range(20))
      await producer.send({ topic: 'exact', messages: [{ key: 'k', value: String(number) }] })
    await producer.disconnect()
    const admin = client().admin()
    await admin.connect()
    const ends = await admin.fetchTopicOffsets('exact')
    expect(ends.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(20)
    await admin.disconnect()
  })
})
