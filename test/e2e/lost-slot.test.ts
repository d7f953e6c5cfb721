import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'

// the file system loses a slot file of a real gateway, as fsck does on a card that dies: damage, and no reason to stay down

let gateway: Gateway

beforeEach(async () => {
  const settings = { 'disk.budget': '96MiB', 'num.partitions': '1' }
  gateway = await Gateway.start({ settings })
})
afterEach(() => gateway.dispose())

const client = (): Kafka =>
  new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })

const send = async (topic: string, values: readonly string[]): Promise<void> => {
  const producer = client().producer()
  await producer.connect()
  for (const value of values) await producer.send({ topic, messages: [{ partition: 0, value: value.padEnd(100_000) }] })
  await producer.disconnect()
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `value-${from + index}`)

/** Slot files in which the text stands. */
const slotsWith = async (text: string): Promise<string[]> => {
  const directory = join(gateway.dataDirectory, 'log')
  const found: string[] = []
  for (const name of (await readdir(directory)).sort()) {
    if ((await readFile(join(directory, name))).includes(text)) found.push(join(directory, name))
  }
  return found
}

/** What a consumer of a new group gets, up to the value. */
const consumedTo = async (topic: string, last: string): Promise<string[]> => {
  const seen: string[] = []
  const consumer = client().consumer({ groupId: `to-${last}`, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => void seen.push(String(message.value).trim()) })
  await expect.poll(() => seen).toContain(last)
  await consumer.disconnect()
  return seen
}

it('a slot file in the middle of the log is deleted: the gateway starts, says so, and consumers go on', async () => {
  await send('long', numbered(0, 120))
  await gateway.kill()
  const [path] = await slotsWith('value-60 ')
  expect(path).toBeDefined()
  expect(await slotsWith('value-10 ')).not.toContain(path)
  expect(await slotsWith('value-115 ')).not.toContain(path)
  await rm(path!)
  await gateway.restart()

  await send('long', ['new'])
  const seen = await consumedTo('long', 'new')
  const values = [...numbered(0, 120), 'new']
  // in order, none twice, nothing that was never sent
  expect(seen).toEqual(values.filter(value => seen.includes(value)))
  expect(seen).toEqual(expect.arrayContaining(['value-10', 'value-115', 'new']))
  expect(seen).not.toContain('value-60')

  const ready = await fetch(`${gateway.httpUrl}/readyz`)
  expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining('lost to damage')])
  const gaps = (await (await fetch(`${gateway.httpUrl}/api/v1/gaps`)).json()) as {
    topic: string
    firstOffset: number
    lastOffset: number
    reason: string
  }[]
  const lost = gaps.filter(({ topic, reason }) => topic === 'long' && reason === 'damage')
  expect(lost.reduce((sum, gap) => sum + gap.lastOffset - gap.firstOffset + 1, 0)).toBe(values.length - seen.length)
  expect((await gateway.stop()).code).toBe(0)
})
