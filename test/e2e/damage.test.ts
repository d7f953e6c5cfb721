import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { flipBitsAt } from '../support/damage.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

let gateway: Gateway

const client = (): Kafka =>
  new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })

/** One batch for each value, one after the other: damage takes one of them. */
const send = async (topic: string, values: readonly string[]): Promise<void> => {
  const producer = client().producer()
  await producer.connect()
  for (const value of values) await producer.send({ topic, messages: [{ partition: 0, key: 'k', value }] })
  await producer.disconnect()
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `value-${String(from + index).padStart(4, '0')}.`)

const json = async (path: string): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(`${gateway.httpUrl}${path}`)
  return { status: response.status, body: await response.json() }
}

const consume = (topic: string) =>
  runBrooklet([
    'consume',
    topic,
    '--bootstrap',
    gateway.addresses.kafka,
    '--from',
    'earliest',
    '--until',
    'end',
    '--json',
  ])

const valuesOf = (stdout: string): string[] =>
  stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => (JSON.parse(line) as { value: string }).value)

beforeEach(async () => {
  gateway = await Gateway.start({ settings: { 'num.partitions': '1' } })
})
afterEach(() => gateway.dispose())

/** Loads two topics, kills the gateway, damages a batch in the middle of one and the last one of the other. */
const damaged = async (): Promise<void> => {
  await send('ended', numbered(500, 520))
  await send('middle', numbered(0, 40))
  await gateway.kill()
  expect(await flipBitsAt(gateway.dataDirectory, 'value-0017.')).toBe(1)
  expect(await flipBitsAt(gateway.dataDirectory, 'value-0519.')).toBe(1)
}

describe.each([
  ['found by the start', true],
  ['met by a reader', false],
])('damage %s', (_, byStart) => {
  it('costs the damaged batches alone, consumers go past it, and it is said everywhere', async () => {
    if (!byStart) {
      await send('ended', numbered(500, 520))
      await send('middle', numbered(0, 40))
      // with a checkpoint behind all of it the start has no reason to look
      await gateway.stop()
      expect(await flipBitsAt(gateway.dataDirectory, 'value-0017.')).toBe(1)
      expect(await flipBitsAt(gateway.dataDirectory, 'value-0519.')).toBe(1)
    } else {
      await damaged()
      await rm(join(gateway.dataDirectory, 'views'), { recursive: true })
    }
    const verified = await runBrooklet(['log', 'verify', gateway.dataDirectory])
    expect([verified.code, verified.stdout.split('\n').at(-2)]).toEqual([1, 'DAMAGED: 2 ranges, 2 records lost'])

    await gateway.restart()
    const middle = await consume('middle')
    expect(valuesOf(middle.stdout)).toEqual(numbered(0, 40).filter(value => value !== 'value-0017.'))
    const ended = await consume('ended')
    expect([ended.code, valuesOf(ended.stdout)]).toEqual([0, numbered(500, 519)])

    const seen: string[] = []
    const consumer = client().consumer({ groupId: 'g', maxWaitTimeInMs: 200 })
    await consumer.connect()
    await consumer.subscribe({ topics: ['middle', 'ended'], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void seen.push(String(message.value)) })
    await send('ended', ['new'])
    await expect.poll(() => seen.length).toBe(39 + 19 + 1)
    expect(seen).toContain('new')
    await consumer.disconnect()

    const ready = await json('/readyz')
    expect(ready.status).toBe(200)
    expect(JSON.stringify(ready.body)).toContain('degraded: 2 offsets in 2 ranges are lost to damage')
    const gaps = [
      { topic: 'ended', firstOffset: 19, lastOffset: 19, reason: 'damage' },
      { topic: 'middle', firstOffset: 17, lastOffset: 17, reason: 'damage' },
    ]
    expect((await json('/api/v1/gaps')).body).toEqual(
      expect.arrayContaining(gaps.map(gap => expect.objectContaining(gap))),
    )
    expect(await gateway.metric('storage_damages_total')).toBeGreaterThan(0)
    expect(gateway.stderr).toMatch(/damaged/)

    // the records of it outlive the process, and the checkpoints
    await gateway.kill()
    await rm(join(gateway.dataDirectory, 'views'), { recursive: true })
    const again = await runBrooklet(['log', 'verify', gateway.dataDirectory])
    expect(again.code).toBe(1)
    expect(again.stdout.match(/a gap record names it/g)?.length).toBeGreaterThanOrEqual(2)
    await gateway.restart()
    expect(valuesOf((await consume('ended')).stdout)).toEqual([...numbered(500, 519), 'new'])
  })
})
