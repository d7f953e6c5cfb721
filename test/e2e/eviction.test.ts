import { type Admin, Kafka, logLevel } from 'kafkajs'
import { afterEach, expect, it } from 'vitest'
import { resetOffsets } from '../../src/client/group-admin.ts'
import { openCentral } from '../support/central-records.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

/** A gateway whose disk budget is used up: which data goes, what is said about it, and how readers go on. */

interface Gap {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly reason: string
}

let gateway: Gateway | undefined

afterEach(() => gateway?.dispose())

const value = Buffer.alloc(200_000, 'v')

it('takes bulk data first, keeps critical data, lists what nobody had read, and lets a late group go on', async () => {
  gateway = await Gateway.start({ settings: { 'disk.budget': '64MiB', 'num.partitions': '1' } })
  const kafka = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const classes = { alarms: 'critical', metrics: 'normal', debug: 'bulk' }
  await admin.createTopics({
    topics: Object.entries(classes).map(([topic, name]) => ({
      topic,
      configEntries: [{ name: 'retention.class', value: name }],
    })),
  })
  const producer = kafka.producer()
  await producer.connect()
  const send = async (topic: string, count: number): Promise<void> => {
    for (let left = count; left > 0; left--) await producer.send({ topic, messages: [{ value }] })
  }
  await send('alarms', 20)
  const cluster = openCentral(gateway.addresses.kafka)
  const committed = { alarms: 3, debug: 5 }
  await resetOffsets(
    cluster,
    'late',
    Object.entries(committed).map(([topic, offset]) => ({ topic, partition: 0, offset })),
  )
  cluster.close()
  await send('debug', 40)
  while (Number((await lowOf(admin, 'debug')).low) < 10) await send('metrics', 5)
  expect((await lowOf(admin, 'alarms')).low).toBe('0')
  expect((await lowOf(admin, 'metrics')).low).toBe('0')

  const gapsListed = async (): Promise<Gap[]> => {
    const audit = await runBrooklet(['audit', '--gaps', '--json', '--http', gateway!.addresses.http])
    return JSON.parse(audit.stdout) as Gap[]
  }
  // room for the last records may still be made
  const goneOf = async (): Promise<number> => Number((await lowOf(admin, 'debug')).low)
  await expect.poll(async () => (await gapsListed())[0]!.lastOffset - (await goneOf())).toBe(-1)
  const { low, high } = await lowOf(admin, 'debug')
  // the group had read five of them
  expect(await gapsListed()).toMatchObject([
    { topic: 'debug', partition: 0, firstOffset: 5, lastOffset: Number(low) - 1, reason: 'budget' },
  ])
  const text = await runBrooklet(['audit', '--gaps', '--topic', 'debug', '--http', gateway.addresses.http])
  expect(text.stdout).toMatch(/TOPIC +PARTITION +FIRST +LAST +OFFSETS +REASON +AGO\ndebug +0 +5 /)
  const none = await runBrooklet(['audit', '--gaps', '--topic', 'alarms', '--json', '--http', gateway.addresses.http])
  expect(none.stdout).toBe('[]\n')

  if (low !== high) {
    const consumer = kafka.consumer({ groupId: 'late' })
    await consumer.connect()
    await consumer.subscribe({ topic: 'debug', fromBeginning: true })
    const first = await new Promise<string>(resolve => {
      void consumer.run({ eachMessage: async ({ message }) => resolve(message.offset) })
    })
    expect(Number(first)).toBeGreaterThanOrEqual(Number(low))
    await consumer.disconnect()
  }
  await expect(
    admin.createTopics({ topics: [{ topic: 'x', configEntries: [{ name: 'retention.class', value: 'gold' }] }] }),
  ).rejects.toMatchObject({ errors: [{ type: 'INVALID_CONFIG' }] })
  await Promise.all([producer.disconnect(), admin.disconnect()])
})

it('sums the oldest gaps past gaps.max, and says how many', async () => {
  gateway = await Gateway.start({ settings: { 'disk.budget': '64MiB', 'num.partitions': '1', 'gaps.max': '1' } })
  const kafka = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry: { retries: 30 } })
  const admin = kafka.admin()
  await admin.connect()
  const producer = kafka.producer()
  await producer.connect()
  const topics = ['one', 'two', 'three']
  await admin.createTopics({ topics: topics.map(topic => ({ topic })) })
  const all = async (): Promise<boolean> => {
    const lows = await Promise.all(topics.map(topic => lowOf(admin, topic)))
    return lows.every(({ low }) => low !== '0')
  }
  while (!(await all())) {
    for (const topic of topics) await producer.send({ topic, messages: [{ value }, { value }] })
  }
  const audit = await runBrooklet(['audit', '--gaps', '--http', gateway.addresses.http])
  expect(audit.stdout).toMatch(/^and \d+ older gaps? with \d+ offsets? in all, no longer listed \(gaps\.max\)$/m)
  const json = await runBrooklet(['audit', '--gaps', '--json', '--http', gateway.addresses.http])
  expect(JSON.parse(json.stdout)).toHaveLength(1)
  expect(json.stderr).toContain('no longer listed')
  await Promise.all([producer.disconnect(), admin.disconnect()])
})

const lowOf = async (admin: Admin, topic: string): Promise<{ low: string; high: string }> =>
  (await admin.fetchTopicOffsets(topic))[0]!
