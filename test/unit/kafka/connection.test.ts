import { afterEach, describe, expect, it } from 'vitest'
import { encodeRequest, type RequestInputOf } from '../../../src/wire/kafka/api.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import {
  apiVersions,
  fetch,
  heartbeat,
  listGroups,
  metadata,
  produce,
} from '../../../src/wire/kafka/contracts/index.ts'
import { baseOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { KafkaTestServer, type TestServerOptions } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'
import { settle, VirtualClock } from '../../support/virtual-clock.ts'
import { dice, randomBytes } from '../wire/kafka/random-values.ts'

let server: KafkaTestServer
const start = async (options?: TestServerOptions): Promise<KafkaTestServer> => {
  server = await KafkaTestServer.start(options)
  return server
}
afterEach(() => server.stop())

const caller = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }

const batch = (value: string | Buffer): Buffer =>
  encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from(value) }])

const produceOne = (value: string | Buffer, acks = -1): RequestInputOf<typeof produce> => ({
  acks,
  timeoutMs: 1000,
  topicData: [{ name: 't', partitionData: [{ index: 0, records: batch(value) }] }],
})

const fetchFrom = (fetchOffset: number, maxWaitMs: number, maxBytes = 1 << 20): RequestInputOf<typeof fetch> => ({
  maxWaitMs,
  minBytes: 1,
  maxBytes,
  topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: maxBytes }] }],
})

/** Waits for something that happens in some turn of the event loop; the test's own limit ends it when it never does. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await settle()
}

/** The correlation ids of the next answers. */
async function correlationIds(client: KafkaTestClient, count: number): Promise<number[]> {
  const frames = await Promise.all(Array.from({ length: count }, () => client.frame()))
  return frames.map(frame => frame.readInt32BE(0))
}

describe('pipelines', () => {
  it('appends every produce request at once, answers them in order after the sync', async () => {
    await start()
    const partition = server.open.broker.topics.ensure('t').partitions[0]!
    const client = await server.connect()
    await client.request(listGroups, 0, {})
    server.log.held = true
    for (let count = 0; count < 20; count++) client.send(produce, 7, produceOne(`v${count}`))
    await until(() => server.log.offsets(partition).logEnd === 20)
    expect(client.socket.bytesRead).toBeLessThan(60)
    server.log.release()
    expect(await correlationIds(client, 20)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    const { batches } = await server.open.broker.read(partition, 0, 1 << 20)
    expect(batches.map(one => baseOffsetOf(one))).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })

  it('answers for a topic with durability=relaxed before the sync; the high watermark follows with it', async () => {
    await start()
    const configs = new Map([['durability', 'relaxed']])
    const partition = server.open.broker.topics.create({ name: 't', configs }).partitions[0]!
    const client = await server.connect()
    await client.request(listGroups, 0, {})
    server.log.held = true
    const answer = await client.request(produce, 7, produceOne('relaxed'))
    expect(answer.responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 })
    expect(server.log.offsets(partition)).toEqual({ logStart: 0, highWatermark: 0, logEnd: 1 })
    server.log.release()
    await until(() => server.log.offsets(partition).highWatermark === 1)
  })

  it('answers in order of the requests also when a later one is ready first', async () => {
    await start()
    server.open.broker.topics.ensure('t')
    const client = await server.connect()
    client.send(fetch, 4, fetchFrom(0, 200))
    client.send(apiVersions, 0, {})
    client.send(produce, 7, produceOne('x'))
    expect(await correlationIds(client, 3)).toEqual([0, 1, 2])
  })

  it('runs nothing else while a request other than produce waits', async () => {
    await start()
    const topic = server.open.broker.topics.ensure('t')
    const [waiting, other] = [await server.connect(), await server.connect()]
    waiting.send(fetch, 4, fetchFrom(0, 60_000))
    waiting.send(produce, 7, produceOne('behind'))
    // the other connection is served meanwhile, and its record ends the wait
    await other.request(produce, 7, produceOne('first'))
    expect(await correlationIds(waiting, 2)).toEqual([0, 1])
    const { batches } = await server.open.broker.read(topic.partitions[0]!, 1, 1000)
    expect(batches[0]!.includes('behind')).toBe(true)
  })

  it('fails every produce request whose sync failed', async () => {
    await start()
    const partition = server.open.broker.topics.ensure('t').partitions[0]!
    const client = await server.connect()
    server.log.held = true
    const answers = [client.request(produce, 7, produceOne('a')), client.request(produce, 7, produceOne('b'))]
    await until(() => server.log.offsets(partition).logEnd === 2)
    server.log.fail()
    for (const { responses } of await Promise.all(answers))
      expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(56)
    const after = await client.request(produce, 7, produceOne('c'))
    expect(after.responses[0]!.partitionResponses[0]!.errorCode).toBe(56)
    // reads go on
    expect((await client.request(fetch, 4, fetchFrom(0, 0))).responses[0]!.partitions[0]!.errorCode).toBe(0)
  })

  it('waits for room in the log, in order, where the device is slow', async () => {
    await start()
    const partition = server.open.broker.topics.ensure('t').partitions[0]!
    const client = await server.connect()
    await client.request(listGroups, 0, {})
    server.log.maxWaitingGroups = 2
    server.log.held = true
    for (let count = 0; count < 10; count++) client.send(produce, 7, produceOne(`v${count}`))
    await until(() => server.log.offsets(partition).logEnd === 2)
    server.log.release()
    await correlationIds(client, 10)
    const { batches } = await server.open.broker.read(partition, 0, 1 << 20)
    expect(batches.map((one, index) => one.includes(`v${index}`))).toEqual(Array.from({ length: 10 }, () => true))
    expect(server.metrics.count('kafkaErrors')).toBe(0)
  })

  it('is bounded: what a connection pipelines beyond the limit stays in the socket', async () => {
    await start()
    server.open.broker.topics.ensure('t')
    const client = await server.connect()
    server.log.held = true
    const value = Buffer.alloc(256 * 1024)
    for (let count = 0; count < 64; count++) client.send(produce, 7, produceOne(value))
    await until(() => server.memory.usedBytes > 4 << 20)
    for (let turn = 0; turn < 50; turn++) await settle()
    expect(server.memory.usedBytes).toBeLessThan(6 << 20)
    server.log.release()
    expect((await correlationIds(client, 64)).at(-1)).toBe(63)
    await until(() => server.memory.usedBytes === 0)
  })
})

describe('acks 0', () => {
  it('has no answer', async () => {
    await start()
    server.open.broker.topics.ensure('t')
    const client = await server.connect()
    client.send(produce, 7, produceOne('x', 0))
    client.send(apiVersions, 0, {})
    expect(await correlationIds(client, 1)).toEqual([1])
  })

  it('closes the connection when something failed', async () => {
    await start()
    const client = await server.connect()
    client.send(produce, 7, produceOne('x', 0))
    await client.closed
    expect(server.metrics.count('kafkaRefusedConnections', 'acks-0-failed')).toBe(1)
  })
})

describe('bad input', () => {
  const bystander = async (client: KafkaTestClient): Promise<void> => {
    expect((await client.request(apiVersions, 3, caller)).errorCode).toBe(0)
  }

  it.each([
    ['a negative size', Buffer.from('ffffffff', 'hex')],
    ['a size beyond socket.request.max.bytes', Buffer.from('7fffffff', 'hex')],
    ['an empty frame', Buffer.from('00000000', 'hex')],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['an unknown API', Buffer.from('0000000a03e7000000000001ffff', 'hex')],
    ['an unknown version', Buffer.from('0000000a000300630000000 1ffff'.replace(' ', ''), 'hex')],
    ['a body that ends early', Buffer.from('0000000c000300010000000100000000', 'hex')],
  ])('%s closes that connection with a line and a counter', async (_what, bytes) => {
    await start()
    const [good, bad] = [await server.connect(), await server.connect()]
    bad.socket.write(bytes)
    await bad.closed
    expect(server.metrics.count('kafkaRefusedConnections')).toBe(1)
    expect(server.lines.filter(({ event }) => event === 'kafka connection closed')).toHaveLength(1)
    await bystander(good)
  })

  it('random and truncated bytes close their connection and touch nothing else', async () => {
    await start({ settings: { 'socket.request.max.bytes': 1 << 20 } })
    const good = await server.connect()
    const seed = Number(process.env['SEED'] ?? 20_241)
    const roll = dice(seed)
    const sound = Buffer.concat(encodeRequest(metadata, 9, { correlationId: 1, clientId: 'c' }, { topics: null }))
    for (let round = 0; round < 200; round++) {
      const bad = await server.connect()
      const bytes = Buffer.from(sound)
      for (let flips = roll(6); flips >= 0; flips--) bytes[roll(bytes.length)] = roll(256)
      bad.socket.write([randomBytes(4 + roll(300), roll), bytes, sound.subarray(0, roll(sound.length))][round % 3]!)
      bad.socket.end()
      await bad.closed
      if (round % 50 === 0) await bystander(good)
    }
    await bystander(good)
    expect(server.metrics.count('kafkaRefusedConnections', 'malformed')).toBeGreaterThan(50)
    expect(server.metrics.count('kafkaRefusedConnections', 'internal')).toBe(0)
    // not one line for each
    expect(server.lines.filter(({ event }) => event === 'kafka connection closed').length).toBeLessThan(5)
    await until(() => server.memory.usedBytes === 0)
  })

  it('refuses connections beyond kafka.connections.max', async () => {
    await start({ settings: { 'kafka.connections.max': 2 } })
    const [first] = [await server.connect(), await server.connect()]
    const third = await server.connect()
    await third.closed
    expect(server.metrics.count('kafkaRefusedConnections', 'connections.max')).toBe(1)
    await bystander(first)
  })
})

describe('slow and silent peers', () => {
  it('a reader that does not read holds a bounded share, and gives it back when it goes', async () => {
    await start({ memoryBytes: 16 << 20 })
    server.open.broker.topics.ensure('t')
    const producer = await server.connect()
    for (let count = 0; count < 16; count++) await producer.request(produce, 7, produceOne(Buffer.alloc(500_000)))
    const readers = await Promise.all(Array.from({ length: 30 }, () => server.connect()))
    for (const reader of readers) {
      reader.socket.pause()
      for (let count = 0; count < 10; count++) reader.send(fetch, 4, fetchFrom(0, 0, 8 << 20))
    }
    for (let turn = 0; turn < 300; turn++) await settle()
    // a batch each at most, once the share is used up
    expect(server.memory.usedBytes).toBeLessThan(16 << 20)
    expect(
      (await producer.request(produce, 7, produceOne('still'))).responses[0]!.partitionResponses[0]!.errorCode,
    ).toBe(0)
    for (const reader of readers) reader.destroy()
    await until(() => server.memory.usedBytes === 0)
  })

  it('stops reading while memory.budget is out and goes on afterwards', async () => {
    await start()
    const client = await server.connect()
    await client.request(apiVersions, 0, {})
    server.memory.take(64 << 20)
    client.send(apiVersions, 0, {})
    client.send(apiVersions, 0, {})
    await until(() => server.metrics.count('memoryPauses', 'kafka') === 1)
    server.memory.give(64 << 20)
    expect(await correlationIds(client, 2)).toEqual([1, 2])
  })

  it('gives up half a request that waits too long for memory, and only that', async () => {
    const clock = new VirtualClock()
    await start({ clock })
    const [half, whole] = [await server.connect(), await server.connect()]
    half.socket.write(Buffer.from('000003e8000000', 'hex'))
    await until(() => server.memory.usedBytes > 0)
    server.memory.take(64 << 20)
    half.socket.write(Buffer.alloc(100))
    // what was read already is answered, whatever the budget says
    expect((await whole.request(apiVersions, 0, {})).errorCode).toBe(0)
    await until(() => server.metrics.count('memoryPauses', 'kafka') === 2)
    await clock.advance(31_000)
    await half.closed
    expect(server.metrics.count('kafkaRefusedConnections', 'memory')).toBe(1)
    server.memory.give(64 << 20)
    expect((await whole.request(apiVersions, 0, {})).errorCode).toBe(0)
    await until(() => server.memory.usedBytes === 0)
  })

  it('closes idle connections, not those that wait for an answer', async () => {
    const clock = new VirtualClock()
    await start({ clock, settings: { 'connections.max.idle.ms': 60_000 } })
    server.open.broker.topics.ensure('t')
    const [idle, waiting] = [await server.connect(), await server.connect()]
    waiting.send(fetch, 4, fetchFrom(0, 1_000_000))
    await until(() => server.metrics.count('kafkaBytesIn') > 0)
    await clock.advance(70_000)
    await idle.closed
    expect(server.metrics.count('kafkaRefusedConnections', 'idle')).toBe(1)
    expect(waiting.socket.destroyed).toBe(false)
  })

  it('forgets a parked fetch when its client goes', async () => {
    const clock = new VirtualClock()
    await start({ clock })
    server.open.broker.topics.ensure('t')
    const client = await server.connect()
    const timersBefore = clock.pendingTimers
    client.send(fetch, 4, fetchFrom(0, 1_000_000))
    await until(() => clock.pendingTimers === timersBefore + 1)
    client.destroy()
    await until(() => clock.pendingTimers === timersBefore)
    await until(() => server.memory.usedBytes === 0)
  })
})

describe('stop', () => {
  it('answers what is under way, parked fetches at once, and then closes', async () => {
    await start()
    server.open.broker.topics.ensure('t')
    const [producer, reader] = [await server.connect(), await server.connect()]
    server.log.held = true
    const produced = producer.request(produce, 7, produceOne('last'))
    const fetched = reader.request(fetch, 4, fetchFrom(0, 60_000))
    await until(() => server.metrics.count('kafkaBytesIn') > 100)
    const stopped = server.server.stop()
    server.log.release()
    expect((await produced).responses[0]!.partitionResponses[0]!.errorCode).toBe(0)
    expect((await fetched).responses[0]!.partitions[0]!.errorCode).toBe(0)
    await stopped
    await expect(server.connect()).rejects.toThrow()
  })
})

describe('heartbeat', () => {
  it('counts the errors that clients get', async () => {
    await start()
    const client = await server.connect()
    const answer = await client.request(heartbeat, 4, { groupId: 'g', generationId: 1, memberId: 'm' })
    expect(answer.errorCode).toBe(25)
    expect(server.metrics.count('kafkaErrors', 'unknownMember')).toBe(1)
    expect(server.metrics.count('kafkaRequests', 'Heartbeat')).toBe(1)
  })
})
