import { CompressionTypes, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'

/** Topics that are compacted, on the built gateway with a Kafka client; and kill -9 while the cleaner works. */

const topic = 'devices'
const MiB = 1024 * 1024
let gateway: Gateway | undefined

afterEach(async () => {
  await gateway?.dispose()
})

const clientOf = (address: string): Kafka =>
  new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 20, initialRetryTime: 50 } })

const createTopics = async (kafka: Kafka): Promise<void> => {
  const admin = kafka.admin()
  await admin.connect()
  const configs = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }
  await admin.createTopics({
    topics: [
      {
        topic,
        numPartitions: 1,
        configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
      },
      { topic: 'rest', numPartitions: 1 },
    ],
  })
  await admin.disconnect()
}

interface Seen {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

/** All records from `from` to the end, as a consumer gets them. */
const consume = async (kafka: Kafka, from: number): Promise<Seen[]> => {
  const admin = kafka.admin()
  await admin.connect()
  const high = Number((await admin.fetchTopicOffsets(topic))[0]!.high)
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `check-${process.hrtime.bigint()}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const seen: Seen[] = []
  let position = 0
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const { offset, key, value } of batch.messages) {
        seen.push({ offset: Number(offset), key: key!.toString(), value: value?.toString().split(':')[0] ?? null })
      }
      position = Number(batch.lastOffset()) + 1
    },
  })
  consumer.seek({ topic, partition: 0, offset: `${from}` })
  while (position < high) await new Promise(resolve => setTimeout(resolve, 20))
  await consumer.disconnect()
  return seen.filter(({ offset }) => offset >= from)
}

const filler = 'x'.repeat(2_000)

/** Versions rise with every record of a key. */
class Keys {
  readonly acked = new Map<string, number>()
  readonly sent = new Map<string, number>()
  #version = 0

  async send(producer: Producer, count: number, compression = CompressionTypes.None): Promise<void> {
    const batch = new Map<string, number>()
    const messages = Array.from({ length: count }, () => {
      const version = ++this.#version
      const key = `k${version % 40}`
      batch.set(key, version)
      // every ninth is a tombstone
      return { key, value: version % 9 === 0 ? null : `${version}:${filler}` }
    })
    for (const [key, version] of batch) this.sent.set(key, version)
    await producer.send({ topic, messages, compression })
    for (const [key, version] of batch) this.acked.set(key, version)
  }

  /** What a reader knows at the end is at least what was acknowledged, at most what was sent. */
  check(seen: readonly Seen[]): void {
    const known = new Map(seen.map(({ key, value }) => [key, value]))
    for (const [key, acked] of this.acked) {
      const value = known.get(key) ?? null
      if (value !== null) {
        expect(Number(value)).toBeGreaterThanOrEqual(acked)
        expect(Number(value)).toBeLessThanOrEqual(this.sent.get(key)!)
      } else expect([acked % 9, this.sent.get(key)! % 9]).toContain(0)
    }
  }
}

describe('a compacted topic', () => {
  it('shows Kafka clients the newest record of each key, at its offset', async () => {
    gateway = await Gateway.start({ settings: { 'disk.budget': '96MiB' } })
    const kafka = clientOf(gateway.addresses.kafka)
    await createTopics(kafka)
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const keys = new Keys()
    for (let round = 0; (await gateway!.metric('storage_compacted_records_total')) < 1000; round++) {
      const compression = round % 3 === 0 ? CompressionTypes.GZIP : CompressionTypes.None
      for (let send = 0; send < 5; send++) await keys.send(producer, 200, compression)
    }
    await producer.disconnect()
    const seen = await consume(kafka, 0)
    keys.check(seen)
    for (const [index, { offset }] of seen.entries()) expect(offset).toBeGreaterThan(seen[index - 1]?.offset ?? -1)
    // from within a batch of which records are gone, while the cleaner goes on
    const within = seen[3]!.offset + 1
    const offsets = (records: readonly Seen[]): number[] =>
      records.map(({ offset }) => offset).filter(offset => offset >= within)
    const read = offsets(await consume(kafka, within))
    const [before, after] = [new Set(offsets(seen)), offsets(await consume(kafka, 0))]
    expect(read.filter(offset => !before.has(offset))).toEqual([])
    expect(after.filter(offset => !read.includes(offset))).toEqual([])
    expect(after.length).toBeGreaterThan(0)
    expect((await gateway.stop()).code).toBe(0)
  })

  it('outlives kill -9 while segments are cleaned and compacted', async () => {
    gateway = await Gateway.start({ settings: { 'disk.budget': '64MiB', 'retention.bytes': `${4 * MiB}` } })
    await createTopics(clientOf(gateway.addresses.kafka))
    const keys = new Keys()
    for (let cycle = 0; cycle < Number(process.env['KILL_CYCLES'] ?? 2); cycle++) {
      const kafka = clientOf(gateway.addresses.kafka)
      const producer = kafka.producer({ retry: { retries: 0 } })
      await producer.connect()
      const before = await gateway!.metric('storage_cleaning_bytes_total')
      let running = true
      const load = (async () => {
        while (running) {
          await keys.send(producer, 100)
          const messages = Array.from({ length: 100 }, () => ({ value: filler }))
          await producer.send({ topic: 'rest', messages })
        }
      })().catch(() => undefined)
      while ((await gateway!.metric('storage_cleaning_bytes_total')) < before + MiB) {
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      // anywhere in the work of the cleaner
      await new Promise(resolve => setTimeout(resolve, 100 + 170 * cycle))
      await gateway.kill()
      running = false
      await load
      await producer.disconnect().catch(() => undefined)
      await gateway.restart()
      keys.check(await consume(clientOf(gateway.addresses.kafka), 0))
    }
    expect((await gateway.stop()).code).toBe(0)
  })
})
