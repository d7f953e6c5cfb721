import { type EachMessagePayload, Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { evictOldest, topicOf } from '../support/retained-topic.ts'
import { untilDrained } from '../support/uplink-status.ts'

// another Brooklet as the central cluster: what has left the log of the gateway is read from there

const patienceMs = 90_000

let hub: Gateway
let link: FaultProxy
let gateway: Gateway

beforeEach(async () => {
  link = await FaultProxy.start(0)
  hub = await Gateway.start({ settings: { 'kafka.advertised': `plaintext://${link.address}` } })
  link.targetPort = Number(hub.addresses.kafka.split(':')[1])
  gateway = await Gateway.start({
    settings: {
      'num.partitions': '2',
      'group.initial.rebalance.delay.ms': '0',
      'uplink.bootstrap.servers': link.address,
      'uplink.headers': 'full',
      'uplink.batch.size': '16KiB',
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'remote.read': 'true',
    },
  })
}, patienceMs)

afterEach(async () => {
  await gateway?.dispose()
  await hub?.dispose()
  await link?.close()
})

const client = (): Kafka =>
  new Kafka({
    brokers: [gateway.addresses.kafka],
    logLevel: logLevel.NOTHING,
    retry: { retries: 100, initialRetryTime: 50 },
  })

/** As one message of a batch stands in a topic. */
const shown = ({ partition, message }: EachMessagePayload) => ({
  partition,
  offset: Number(message.offset),
  key: String(message.key),
  value: String(message.value),
  timestamp: message.timestamp,
  headers: Object.keys(message.headers ?? {}),
})

it(
  'a consumer from the beginning gets all records as they were published, whatever the link does meanwhile',
  async () => {
    const kafka = client()
    const admin = kafka.admin()
    const producer = kafka.producer()
    await Promise.all([admin.connect(), producer.connect()])
    const count = 4_000
    for (let at = 0; at < count; at += 200) {
      const messages = Array.from({ length: 200 }, (_, index) => ({
        key: `device-${(at + index) % 13}`,
        value: `${at + index} ${'x'.repeat(100)}`,
        timestamp: String(1_700_000_000_000 + at + index),
        headers: { site: 'a' },
      }))
      await producer.send({ topic: 'sensors', messages })
    }
    await untilDrained(gateway)
    await evictOldest(gateway, 'sensors')
    // nobody can say where the topic begins: that is no reason to begin elsewhere
    link.refuse()
    const consumer = kafka.consumer({ groupId: 'readers', maxWaitTimeInMs: 200, maxBytesPerPartition: 30_000 })
    await consumer.connect()
    await consumer.subscribe({ topic: 'sensors', fromBeginning: true })
    const seen: ReturnType<typeof shown>[] = []
    await consumer.run({ eachMessage: async payload => void seen.push(shown(payload)) })
    const status = () => runBrooklet(['uplink', 'status', '--http', gateway.addresses.http])
    await expect
      .poll(async () => (await status()).stdout, { timeout: patienceMs })
      .toContain('of sensors is not read from the central cluster: ')
    expect(seen).toEqual([])
    link.restore()
    for (const at of [500, 1_500, 2_500]) {
      await expect.poll(() => seen.length, { timeout: patienceMs, interval: 5 }).toBeGreaterThan(at)
      link.reset()
    }
    await expect.poll(() => seen.length, { timeout: patienceMs }).toBeGreaterThanOrEqual(count)
    const { partitions } = await topicOf(gateway, 'sensors')
    for (const [index, { highWatermark }] of partitions.entries()) {
      const own = seen.filter(({ partition }) => partition === index)
      expect(own.map(({ offset }) => offset)).toEqual(Array.from({ length: highWatermark }, (_, offset) => offset))
    }
    const numbers = seen.map(({ value }) => Number(value.split(' ')[0]))
    expect(numbers.toSorted((one, other) => one - other)).toEqual(Array.from({ length: count }, (_, number) => number))
    for (const [at, { key, timestamp, headers }] of seen.entries()) {
      const number = numbers[at]!
      expect([key, timestamp, headers]).toEqual([`device-${number % 13}`, String(1_700_000_000_000 + number), ['site']])
    }
    const earliest = await admin.fetchTopicOffsets('sensors')
    expect(earliest.map(({ low }) => low)).toEqual(['0', '0'])
    expect((await status()).stdout).toMatch(/TOTAL START\n(sensors .* 0\n){2}/)
    expect(await (await fetch(`${gateway.httpUrl}/metrics`)).text()).toMatch(/^brooklet_remote_reads_total [1-9]/m)
    await admin.deleteTopicRecords({ topic: 'sensors', partitions: [{ partition: 0, offset: '17' }] })
    expect((await admin.fetchTopicOffsets('sensors')).map(({ low }) => low).sort()).toEqual(['0', '17'])
    await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()])
    expect(await gateway.stop()).toEqual({ code: 0, signal: null })
  },
  2 * patienceMs,
)
