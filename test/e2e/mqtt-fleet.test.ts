import { Kafka, logLevel } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type Comparison,
  Ledger,
  type LedgerFile,
  profiles,
  type Receipt,
  receiptOf,
} from '../../firmware-sim/index.ts'
import { growthOf, type Holding, holdingOf } from '../support/flatness.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

/**
 * 1,000 devices of all profiles with subscribers and a consumer group reading: the ledger of the devices against what each of them got, and what the gateway
 * holds. `npm run soak -- mqtt` runs it for an hour (MINUTES, RATE); a build samples it.
 */

const minutes = Number(process.env['MINUTES'] ?? 0.2)
const devices = 1000
/** Readings a second of each device, instead of what its profile says. */
const readingsPerSecond = process.env['RATE'] ?? (minutes < 1 ? '1' : undefined)
const isSoak = minutes >= 1
/** Shorter runs are over before the memory has reached its height. */
const isFlatAfterwards = minutes >= 5
const runMs = minutes * 60_000
const sampleMs = Math.max(500, runMs / 240)
/** A subscriber with a session goes away so often, and for so long. */
const [awayEveryMs, awayMs] = [Math.max(3000, runMs / 20), 1000]
/** Until everything has come; what comes too often shows a moment later. */
const patienceMs = 60_000
const lateMs = 3000
/**
 * Beyond this growth from the second to the last fifth of the run something is kept: in five minutes the heap is still on its way to its height, 30 and
 * 31 MiB. A descriptor for each return of the subscriber that goes away would be twelve.
 */
const flat: Holding = { rssMiB: minutes < 15 ? 96 : 24, descriptors: 4 }
/** Full in the first third of an hour. */
const diskBudget = '192MiB'
const topics = ['sensors', 'meters', 'positions', 'vibration', 'doors']

let gateway: Gateway | undefined
const clients: MqttClient[] = []
const kafkaStops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true)
  for (const stop of kafkaStops.splice(0)) await stop()
  await gateway?.dispose()
})

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The sequence numbers that somebody got, by device, in their order. */
class Receipts {
  count = 0
  readonly #byDevice = new Map<string, number[]>()

  take(mqttTopic: string, payload: Uint8Array): void {
    const receipt = receiptOf(mqttTopic, payload)
    // topics of the broker are no readings
    if (receipt === undefined) return
    this.count++
    const known = this.#byDevice.get(receipt.device)
    if (known === undefined) this.#byDevice.set(receipt.device, [receipt.seq])
    else known.push(receipt.seq)
  }

  *[Symbol.iterator](): Iterator<Receipt> {
    for (const [device, numbers] of this.#byDevice) for (const seq of numbers) yield { device, seq }
  }
}

const subscribe = async (clientId: string, filter: string, receipts: Receipts, clean = true): Promise<MqttClient> => {
  const client = await connectAsync(gateway!.mqttUrl, { clientId, clean, reconnectPeriod: 200 })
  clients.push(client)
  client.on('message', (topic, payload) => receipts.take(topic, payload))
  await client.subscribeAsync(filter, { qos: 1 })
  return client
}

/** A consumer group that reads all topics and commits. */
const readWithGroup = async (receipts: Receipts): Promise<void> => {
  const kafka = new Kafka({ brokers: [gateway!.addresses.kafka], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: 4 })) })
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: 'fleet' })
  kafkaStops.push(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => receipts.take(message.key!.toString(), message.value!) })
}

const faultsOf = ({ missingAcked, unexplainedDuplicates, unexpected, orderViolations, examples }: Comparison) => ({
  missingAcked,
  unexplainedDuplicates,
  unexpected,
  orderViolations,
  examples,
})
const none = { missingAcked: 0, unexplainedDuplicates: 0, unexpected: 0, orderViolations: 0, examples: [] }

const shown = ({ rssMiB, descriptors }: Holding): string => `${rssMiB.toFixed(1)} MiB, ${descriptors} descriptors`

describe(`a fleet of ${devices} devices of all profiles`, { timeout: runMs + 180_000 }, () => {
  it('is whole at the group and at every subscriber, and what the gateway holds does not grow', async () => {
    gateway = await Gateway.start({ settings: { 'disk.budget': diskBudget } })
    const [group, plain, durable, shared] = [new Receipts(), new Receipts(), new Receipts(), new Receipts()]
    await readWithGroup(group)
    await subscribe('plain', '#', plain)
    const returning = await subscribe('durable', '#', durable, false)
    await subscribe('shared-1', '$share/pair/#', shared)
    await subscribe('shared-2', '$share/pair/#', shared)

    const mix = profiles.map(({ name }) => `${name}=${Math.ceil(devices / profiles.length)}`).join(',')
    const rate = readingsPerSecond === undefined ? [] : ['--rate', readingsPerSecond]
    const args = ['sim', '--url', gateway.mqttUrl, '--mix', mix, '--duration', `${runMs}ms`, '--seed', '5', '--json']
    let isRunning = true
    const running = runBrooklet([...args, ...rate], { timeoutMs: runMs + 60_000 }).finally(() => {
      isRunning = false
    })

    const samples: Holding[] = []
    let goesAt = performance.now() + awayEveryMs
    while (isRunning) {
      samples.push(holdingOf(gateway.pid))
      if (performance.now() > goesAt) {
        goesAt += awayEveryMs
        if (isSoak) console.log(shown(samples.at(-1)!), `${plain.count} readings at the subscriber`)
        await returning.endAsync()
        await pause(awayMs)
        returning.reconnect()
      }
      await pause(sampleMs)
    }
    const { code, stdout, stderr } = await running
    expect(code, stderr).toBe(0)
    const ledger = Ledger.fromJSON(JSON.parse(stdout) as LedgerFile)
    const { made, acked } = ledger.totals()
    expect(acked).toBeGreaterThan(made * 0.99)
    const haveAll = () => [group, plain, durable, shared].every(({ count }) => count >= acked)
    for (const endMs = performance.now() + patienceMs; !haveAll() && performance.now() < endMs; ) await pause(100)
    await pause(lateMs)
    expect(faultsOf(ledger.compare(group)), 'group').toEqual(none)
    expect(faultsOf(ledger.compare(plain)), 'subscriber').toEqual(none)
    // QoS 1: what was on its way when the client left comes again
    expect(faultsOf(ledger.compare(durable)), 'subscriber with a session').toMatchObject({
      missingAcked: 0,
      unexpected: 0,
    })
    // between two members there is no order
    expect(faultsOf(ledger.compare(shared)), 'shared subscription').toMatchObject({
      missingAcked: 0,
      unexplainedDuplicates: 0,
      unexpected: 0,
    })
    const growth = growthOf(samples)
    const at = (part: number): Holding => samples[Math.floor((samples.length - 1) * part)]!
    console.log(
      `${acked} readings acknowledged; first ${shown(at(0))}; after a fifth ${shown(at(1 / 5))}, two ${shown(at(2 / 5))}, all ${shown(at(1))}; ` +
        `growth ${shown(growth)}`,
    )
    if (!isFlatAfterwards) return
    expect(growth.rssMiB).toBeLessThan(flat.rssMiB)
    expect(growth.descriptors).toBeLessThanOrEqual(flat.descriptors)
  })
})
