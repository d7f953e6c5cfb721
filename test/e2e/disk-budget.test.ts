import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { incrementalAlterConfigs, offsetCommit } from '../../src/wire/kafka/contracts/index.ts'
import { Gateway, runBrooklet, serveArguments } from '../support/gateway.ts'
import { KafkaTestClient } from '../support/kafka-test-client.ts'

/** What is in the data directory, by the blocks that the file system gave it, against `disk.budget`. */

const MiB = 1024 * 1024
const statBlockBytes = 512
const tolerance = 1.02
const value = Buffer.alloc(6 * 1024, 'r')

let gateway: Gateway
let producer: Producer
beforeEach(async () => {
  gateway = await Gateway.start({ settings: { 'disk.budget': '100MiB' } })
  await connect()
})
afterEach(async () => {
  await producer.disconnect()
  await gateway.dispose()
})

const kafka = (): Kafka => new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING })
const connect = async (): Promise<void> => {
  producer = kafka().producer()
  await producer.connect()
}

const rawClient = () => KafkaTestClient.connect(Number(gateway.addresses.kafka.split(':').at(-1)))

/** Bytes of all files under the directory as `du` counts them; one that goes meanwhile is not there. */
const occupiedBytes = (path: string): number => {
  try {
    const stat = lstatSync(path)
    const own = stat.blocks * statBlockBytes
    if (!stat.isDirectory()) return own
    return readdirSync(path).reduce((sum, name) => sum + occupiedBytes(join(path, name)), own)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

/** Produces so much, with what else writes to the disk of a gateway beside it, and returns the most that was ever occupied. */
const load = async (mebibytes: number): Promise<number> => {
  const device = await connectAsync(gateway.mqttUrl)
  const client = await rawClient()
  let mostBytes = 0
  const watching = setInterval(() => {
    mostBytes = Math.max(mostBytes, occupiedBytes(gateway.dataDirectory))
  }, 20)
  try {
    for (let round = 0; round < mebibytes / 4; round++) {
      const messages = Array.from({ length: 14 }, (_, key) => ({ key: `${key}`, value }))
      await Promise.all(Array.from({ length: 48 }, () => producer.send({ topic: 'readings', messages })))
      await device.publishAsync(`state/${round % 100}`, value.subarray(0, 1000), { qos: 1, retain: true })
      const partitions = [{ partitionIndex: 0, committedOffset: round, committedMetadata: null }]
      const topics = [{ name: 'readings', partitions }]
      await client.request(offsetCommit, 8, { groupId: `app-${round % 50}`, memberId: '', topics })
    }
  } finally {
    clearInterval(watching)
    client.destroy()
    await device.endAsync()
  }
  return Math.max(mostBytes, occupiedBytes(gateway.dataDirectory))
}

/** The answer's error, or null. */
const setBudget = async (value: string | null): Promise<string | null> => {
  const client = await rawClient()
  try {
    const configs = [{ name: 'disk.budget', configOperation: value === null ? 1 : 0, value }]
    const resources = [{ resourceType: 4, resourceName: '1', configs }]
    const { responses } = await client.request(incrementalAlterConfigs, 1, { resources, validateOnly: false })
    return responses[0]!.errorMessage
  } finally {
    client.destroy()
  }
}

const told = async (): Promise<{ logBytes: number; viewBytes: number; budgetBytes: number }> => {
  const response = await fetch(`${gateway.httpUrl}/api/v1/gateway`)
  return ((await response.json()) as { disk: { logBytes: number; viewBytes: number; budgetBytes: number } }).disk
}

const eventually = async (isDone: () => boolean): Promise<void> => {
  while (!isDone()) await new Promise(resolve => setTimeout(resolve, 20))
}

test('everything stays within the budget, lap after lap, also while it shrinks, grows and is kept for the next start', async () => {
  expect(await load(240)).toBeLessThanOrEqual(100 * MiB * tolerance)
  expect(occupiedBytes(gateway.dataDirectory)).toBeGreaterThan(60 * MiB)
  const { logBytes, viewBytes } = await told()
  expect(logBytes + viewBytes).toBeGreaterThan(occupiedBytes(gateway.dataDirectory) - 2 * MiB)

  expect(await setBudget('65MiB')).toBeNull()
  await load(8)
  await eventually(() => occupiedBytes(gateway.dataDirectory) <= 65 * MiB * tolerance)
  expect(await load(16)).toBeLessThanOrEqual(65 * MiB * tolerance)

  expect(await setBudget('140MiB')).toBeNull()
  expect((await told()).budgetBytes).toBe(140 * MiB)
  expect(await load(60)).toBeLessThanOrEqual(140 * MiB * tolerance)
  await eventually(() => occupiedBytes(gateway.dataDirectory) > 80 * MiB)

  await producer.disconnect()
  await gateway.stop()
  await gateway.restart()
  await connect()
  expect((await told()).budgetBytes).toBe(140 * MiB)
  expect(await setBudget(null)).toBeNull()
  expect((await told()).budgetBytes).toBe(100 * MiB)
  await eventually(() => occupiedBytes(gateway.dataDirectory) <= 100 * MiB * tolerance)
})

test('a budget that cannot hold what must stay is refused with the numbers, at run time and at a start', async () => {
  const admin = kafka().admin()
  await admin.connect()
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  await admin.createTopics({ topics: [{ topic: 'latest', numPartitions: 1, configEntries }] })
  await admin.disconnect()
  for (let round = 0; round < 120; round++) {
    const messages = Array.from({ length: 14 }, (_, key) => ({ key: `${round}-${key}-`, value }))
    await Promise.all(
      [1, 2, 3, 4].map(part => {
        const own = messages.map(message => ({ ...message, key: message.key + part }))
        return producer.send({ topic: 'latest', messages: own })
      }),
    )
  }
  const numbers = /disk\.budget=64MiB is too little: [34]\dMiB in the log must stay .* at least [789]\dMiB is needed/
  expect(await setBudget('64MiB')).toMatch(numbers)
  expect((await told()).budgetBytes).toBe(100 * MiB)
  await producer.disconnect()
  await gateway.stop()
  const settings = { 'disk.budget': '64MiB' }
  const refused = await runBrooklet(serveArguments(gateway.dataDirectory, { settings }))
  expect(refused).toMatchObject({ code: 64, stderr: expect.stringMatching(numbers) })
  await gateway.restart()
  await connect()
  await producer.send({ topic: 'latest', messages: [{ key: 'one more', value }] })
})
