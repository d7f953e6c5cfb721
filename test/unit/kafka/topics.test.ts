import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ZERO_UUID } from '../../../src/core/uuid.ts'
import type { ResponseOf } from '../../../src/wire/kafka/api.ts'
import { BatchBuilder } from '../../../src/wire/kafka/batch-builder.ts'
import {
  createPartitions,
  createTopics,
  deleteTopics,
  describeCluster,
  describeLogDirs,
  describeTopicPartitions,
  metadata,
} from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { KafkaTestServer, type TestServerOptions } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient

async function start(options: TestServerOptions = {}): Promise<void> {
  await server?.stop()
  server = await KafkaTestServer.start(options)
  client = await server.connect()
}
beforeEach(() => start({ keyedTopics: ['keyed'] }))
afterEach(() => server.stop())

const names = () => [...server.open.broker.topics.all()].map(({ name }) => name)

describe('metadata', () => {
  it('creates a topic that is named, durable before it is answered', async () => {
    server.log.held = true
    const answered = client.request(metadata, 4, { topics: [{ name: 'new' }], allowAutoTopicCreation: true })
    while (server.open.broker.topics.find('new') === undefined) await new Promise(setImmediate)
    const early = await Promise.race([answered, new Promise(resolve => setTimeout(() => resolve('waits'), 30))])
    expect(early).toBe('waits')
    server.log.release()
    const { topics, clusterId, controllerId } = await answered
    expect(topics[0]).toMatchObject({ errorCode: 0, name: 'new', isInternal: false })
    expect(topics[0]!.partitions.map(({ leaderId }) => leaderId)).toEqual([1, 1, 1, 1])
    expect([clusterId, controllerId]).toEqual([server.log.logId, 1])
  })

  it.each([
    ['the client does not want it', {}, false],
    ['the gateway does not allow it', { 'auto.create.topics.enable': false }, true],
  ])('creates nothing when %s', async (_when, settings, allowAutoTopicCreation) => {
    await start({ settings })
    const { topics } = await client.request(metadata, 9, { topics: [{ name: 'new' }], allowAutoTopicCreation })
    expect(topics[0]!.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
    expect(names()).toEqual([])
  })

  it.each(['a b', '', '..', 'x'.repeat(250)])('refuses the name %j whether it may create or not', async name => {
    for (const allowAutoTopicCreation of [true, false]) {
      const { topics } = await client.request(metadata, 9, { topics: [{ name }], allowAutoTopicCreation })
      expect(topics[0]!.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION)
    }
  })

  it.each([
    [0, [], 2],
    [1, [], 0],
    [1, null, 2],
    [12, [], 0],
    [12, null, 2],
  ] as const)('v%i with topics %j lists %i', async (version, topics, count) => {
    for (const name of ['a', 'b']) server.open.broker.topics.ensure(name)
    expect((await client.request(metadata, version, { topics })).topics).toHaveLength(count)
  })

  it('answers a topic named many times once', async () => {
    server.open.broker.topics.ensure('a')
    const asked = Array.from({ length: 1000 }, (_, index) => ({ name: index === 0 ? 'b' : 'a' }))
    const { topics } = await client.request(metadata, 4, { topics: asked, allowAutoTopicCreation: false })
    expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['b', errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
      ['a', 0],
    ])
  })

  it('finds topics by id, and never creates one', async () => {
    const { id } = server.open.broker.topics.ensure('a')
    const asked = [
      { topicId: id, name: null },
      { topicId: 'cd'.repeat(16), name: null },
    ]
    const { topics } = await client.request(metadata, 12, { topics: asked })
    expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['a', 0],
      [null, errorCodes.UNKNOWN_TOPIC_ID],
    ])
  })

  it('says that the limit of partitions is reached', async () => {
    await start({ settings: { 'partitions.max': 6 } })
    const { topics } = await client.request(metadata, 9, { topics: [{ name: 'a' }, { name: 'b' }] })
    expect(topics.map(({ errorCode }) => errorCode)).toEqual([0, errorCodes.POLICY_VIOLATION])
  })
})

describe('create topics', () => {
  type Wanted = {
    name: string
    numPartitions?: number
    replicationFactor?: number
    assignments?: { partitionIndex: number; brokerIds: number[] }[]
    configs?: { name: string; value: string | null }[]
  }
  const create = async (wanted: Wanted[], validateOnly = false) => {
    const defaults = { numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
    const body = { topics: wanted.map(topic => ({ ...defaults, ...topic })), timeoutMs: 1000, validateOnly }
    return (await client.request(createTopics, 7, body)).topics
  }

  it('takes -1 for defaults and answers what was made', async () => {
    const [topic] = await create([{ name: 't', configs: [{ name: 'retention.ms', value: '5000' }] }])
    expect(topic).toMatchObject({ errorCode: 0, numPartitions: 4, replicationFactor: 1 })
    expect(topic!.topicId).toBe(server.open.broker.topics.get('t').id)
    expect(topic!.configs).toContainEqual({
      name: 'retention.ms',
      value: '5000',
      readOnly: false,
      configSource: 1,
      isSensitive: false,
    })
    expect(topic!.configs!.length).toBeGreaterThan(30)
  })

  it('takes a replication factor above 1 as 1, unless told not to', async () => {
    expect((await create([{ name: 'a', replicationFactor: 3 }]))[0]).toMatchObject({
      errorCode: 0,
      replicationFactor: 1,
    })
    await start({ settings: { 'replication.factor.accept': false } })
    expect((await create([{ name: 'a', replicationFactor: 3 }]))[0]!.errorCode).toBe(
      errorCodes.INVALID_REPLICATION_FACTOR,
    )
    expect((await create([{ name: 'a', replicationFactor: 1 }]))[0]!.errorCode).toBe(0)
  })

  const assigned = (...replicas: [number, number[]][]) =>
    replicas.map(([partitionIndex, brokerIds]) => ({ partitionIndex, brokerIds }))

  it.each([
    ['no partitions', { name: 't', numPartitions: 0 }, errorCodes.INVALID_PARTITIONS],
    ['fewer than none', { name: 't', numPartitions: -2 }, errorCodes.INVALID_PARTITIONS],
    ['too many partitions', { name: 't', numPartitions: 100_000 }, errorCodes.POLICY_VIOLATION],
    ['no replicas', { name: 't', replicationFactor: 0 }, errorCodes.INVALID_REPLICATION_FACTOR],
    ['an illegal name', { name: 'a/b' }, errorCodes.INVALID_TOPIC_EXCEPTION],
    ['an unknown config', { name: 't', configs: [{ name: 'x', value: '1' }] }, errorCodes.INVALID_CONFIG],
    ['a wrong value', { name: 't', configs: [{ name: 'retention.ms', value: 'x' }] }, errorCodes.INVALID_CONFIG],
    [
      'a config without value',
      { name: 't', configs: [{ name: 'retention.ms', value: null }] },
      errorCodes.INVALID_CONFIG,
    ],
    ['replicas elsewhere', { name: 't', assignments: assigned([0, [2]]) }, errorCodes.INVALID_REPLICA_ASSIGNMENT],
    ['replicas twice', { name: 't', assignments: assigned([0, [1, 1]]) }, errorCodes.INVALID_REPLICA_ASSIGNMENT],
    [
      'a gap in the partitions',
      { name: 't', assignments: assigned([0, [1]], [2, [1]]) },
      errorCodes.INVALID_REPLICA_ASSIGNMENT,
    ],
    [
      'assignments and a count',
      { name: 't', numPartitions: 1, assignments: assigned([0, [1]]) },
      errorCodes.INVALID_REQUEST,
    ],
  ])('refuses %s', async (_what, wanted, code) => {
    const [topic] = await create([wanted])
    expect(topic).toMatchObject({ errorCode: code, numPartitions: -1 })
    expect(topic!.errorMessage).toMatch(/\w/)
    expect(names()).toEqual([])
  })

  it('takes assignments to this gateway', async () => {
    expect((await create([{ name: 't', assignments: assigned([1, [1]], [0, [1]]) }]))[0]).toMatchObject({
      errorCode: 0,
      numPartitions: 2,
    })
  })

  it('answers each topic for itself, and one named twice once', async () => {
    server.open.broker.topics.ensure('old')
    const topics = await create([{ name: 'old' }, { name: 'twice' }, { name: 'new' }, { name: 'twice' }])
    expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['old', errorCodes.TOPIC_ALREADY_EXISTS],
      ['twice', errorCodes.INVALID_REQUEST],
      ['new', 0],
    ])
  })

  it('only looks when asked to', async () => {
    expect((await create([{ name: 't' }], true))[0]).toMatchObject({
      errorCode: 0,
      numPartitions: 4,
      topicId: ZERO_UUID,
    })
    expect(names()).toEqual([])
  })

  it('says when the device failed', async () => {
    server.log.held = true
    const created = create([{ name: 't' }])
    while (names().length === 0) await new Promise(setImmediate)
    server.log.fail()
    expect((await created)[0]!.errorCode).toBe(errorCodes.KAFKA_STORAGE_ERROR)
  })
})

describe('delete topics', () => {
  it('by name, before version 6', async () => {
    server.open.broker.topics.ensure('a')
    const { responses } = await client.request(deleteTopics, 5, { topicNames: ['a', 'none'], timeoutMs: 1 })
    expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['a', 0],
      ['none', 3],
    ])
    expect(names()).toEqual([])
  })

  it('by name or by id, not both', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map(name => server.open.broker.topics.ensure(name))
    const topics = [
      { name: 'a' },
      { name: null, topicId: b!.id },
      { name: 'c', topicId: c!.id },
      { name: null, topicId: 'ef'.repeat(16) },
    ]
    const { responses } = await client.request(deleteTopics, 6, {
      topics: topics.map(topic => ({ topicId: ZERO_UUID, ...topic })),
      timeoutMs: 1,
    })
    expect(responses.map(({ name, topicId, errorCode }) => [name, topicId, errorCode])).toEqual([
      ['a', a!.id, 0],
      ['b', b!.id, 0],
      ['c', c!.id, errorCodes.INVALID_REQUEST],
      [null, 'ef'.repeat(16), errorCodes.UNKNOWN_TOPIC_ID],
    ])
    expect(names()).toEqual(['c'])
  })
})

describe('create partitions', () => {
  const extend = async (
    name: string,
    count: number,
    assignments: { brokerIds: number[] }[] | null = null,
    validateOnly = false,
  ) => {
    const body = { topics: [{ name, count, assignments }], timeoutMs: 1, validateOnly }
    return (await client.request(createPartitions, 3, body)).results[0]!
  }

  it('adds partitions, and warns where a route keys by them', async () => {
    for (const name of ['plain', 'keyed']) {
      server.open.broker.topics.ensure(name)
      expect((await extend(name, 6)).errorCode).toBe(0)
      expect(server.open.broker.topics.get(name).partitions).toHaveLength(6)
    }
    const warned = server.lines.filter(({ event }) => event.includes('keys'))
    expect(warned.map(({ fields }) => fields)).toEqual([{ topic: 'keyed', before: 4, after: 6 }])
  })

  it.each([
    ['none', 5, null, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ['t', 4, null, errorCodes.INVALID_PARTITIONS],
    ['t', 3, null, errorCodes.INVALID_PARTITIONS],
    ['t', 5, [[2]], errorCodes.INVALID_REPLICA_ASSIGNMENT],
    ['t', 6, [[1]], errorCodes.INVALID_REPLICA_ASSIGNMENT],
    ['t', 5, [[1]], 0],
  ])('of topic %s to %i with replicas %j: code %i', async (name, count, replicas, code) => {
    server.open.broker.topics.ensure('t')
    expect((await extend(name, count, replicas?.map(brokerIds => ({ brokerIds })) ?? null)).errorCode).toBe(code)
  })

  it('only looks when asked to', async () => {
    server.open.broker.topics.ensure('t')
    expect((await extend('t', 9, null, true)).errorCode).toBe(0)
    expect(server.open.broker.topics.get('t').partitions).toHaveLength(4)
  })
})

type Cursor = ResponseOf<typeof describeTopicPartitions>['nextCursor']

describe('describe topic partitions', () => {
  it('has lists where a Java Admin takes no null', async () => {
    server.open.broker.topics.ensure('a')
    const { topics } = await client.request(describeTopicPartitions, 0, { topics: [{ name: 'a' }] })
    for (const partition of topics[0]!.partitions)
      expect(partition).toMatchObject({ eligibleLeaderReplicas: [], lastKnownElr: [], offlineReplicas: [] })
  })

  it('goes page by page over all topics in order', async () => {
    for (const name of ['b', 'a', 'c']) server.open.broker.topics.ensure(name)
    const pages: string[] = []
    let cursor: Cursor = null
    do {
      const page: ResponseOf<typeof describeTopicPartitions> = await client.request(describeTopicPartitions, 0, {
        topics: [],
        responsePartitionLimit: 5,
        cursor,
      })
      pages.push(
        page.topics
          .map(({ name, partitions }) => `${name}:${partitions.map(p => p.partitionIndex).join('')}`)
          .join(' '),
      )
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(pages).toEqual(['a:0123 b:0', 'b:123 c:01', 'c:23'])
  })

  it('says which topics are missing, and creates none', async () => {
    const { topics } = await client.request(describeTopicPartitions, 0, { topics: [{ name: 'x' }, { name: 'a b' }] })
    expect(topics.map(({ errorCode }) => errorCode)).toEqual([17, 3])
    expect(names()).toEqual([])
  })
})

describe('describe cluster', () => {
  it('is one broker', async () => {
    const cluster = await client.request(describeCluster, 2, { includeClusterAuthorizedOperations: false })
    expect(cluster).toMatchObject({ errorCode: 0, clusterId: server.log.logId, controllerId: 1 })
    expect(cluster.brokers).toEqual([
      { brokerId: 1, host: '127.0.0.1', port: server.port, rack: null, isFenced: false },
    ])
    const body = { includeClusterAuthorizedOperations: false, endpointType: 2 }
    expect((await client.request(describeCluster, 1, body)).errorCode).toBe(errorCodes.MISMATCHED_ENDPOINT_TYPE)
  })
})

describe('log directories', () => {
  it('are one, with the bytes of each partition that is asked for', async () => {
    for (const name of ['a', 'b']) server.open.broker.topics.ensure(name)
    const [partition] = server.open.broker.topics.get('a').partitions
    const builder = new BatchBuilder()
    const value = Buffer.from('a value')
    builder.append(1, null, value, 0, value.length, Buffer.from([0]))
    const batch = Buffer.from(builder.finish(0, 0))
    await server.open.broker.whenDurable(server.log.append([{ partition: partition!, batch }]).group)
    const all = await client.request(describeLogDirs, 5, { topics: null })
    expect([all.errorCode, all.results.length]).toEqual([0, 1])
    const [directory] = all.results
    expect(directory).toMatchObject({ errorCode: 0, totalBytes: 0, usableBytes: 0, isCordoned: false })
    expect(directory!.logDir).toMatch(/^\/.*\/log$/)
    expect(directory!.topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([
      ['a', 4],
      ['b', 4],
    ])
    const some = await client.request(describeLogDirs, 1, {
      topics: [
        { topic: 'a', partitions: [0, 1, 9] },
        { topic: 'none', partitions: [0] },
      ],
    })
    expect(some.results[0]!.topics).toEqual([
      {
        name: 'a',
        partitions: [
          { partitionIndex: 0, partitionSize: batch.length, offsetLag: 0, isFutureKey: false },
          { partitionIndex: 1, partitionSize: 0, offsetLag: 0, isFutureKey: false },
        ],
      },
    ])
  })
})
