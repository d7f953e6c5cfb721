import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fetch as fetchApi } from '../../src/wire/kafka/contracts/index.ts'
import { FaultyGateway } from '../support/faulty-gateway-process.ts'
import { KafkaTestClient } from '../support/kafka-test-client.ts'
import { NumberedDevice, stalledSubscriber } from '../support/numbered-device.ts'

let gateway: FaultyGateway
const sockets: { destroy(): void }[] = []
beforeEach(async () => {
  gateway = await FaultyGateway.prepare({ 'disk.budget': '256MiB', 'group.initial.rebalance.delay.ms': '0' })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await gateway.dispose()
})

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const kafka = (): Kafka =>
  new Kafka({ brokers: [`127.0.0.1:${gateway.kafkaPort}`], logLevel: logLevel.NOTHING, retry: { retries: 0 } })

const device = async (name: string): Promise<NumberedDevice> => {
  const made = await NumberedDevice.connect(gateway.mqttPort, { name, topic: `load/${name}`, bytes: 200, inFlight: 50 })
  sockets.push(made)
  return made
}

/** Records of topic `load`, by its offsets. */
const stored = async (): Promise<number> => {
  const admin = kafka().admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets('load')
  await admin.disconnect()
  return offsets.reduce((sum, { high }) => sum + Number(high), 0)
}

/** Devices and a consumer group at work, a fetch that waits, a reader and a subscriber that take nothing. */
const load = async (): Promise<NumberedDevice[]> => {
  const devices = await Promise.all(['a', 'b', 'c'].map(device))
  for (const each of devices) each.publishUntil(100)
  await Promise.all(devices.map(each => each.drained()))
  sockets.push(await stalledSubscriber(gateway.mqttPort, 'asleep', 'load/#', 1))
  const consumer = kafka().consumer({ groupId: 'readers' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'load', fromBeginning: true })
  await consumer.run({ eachMessage: async () => undefined, autoCommitInterval: 50 })
  sockets.push({ destroy: () => void consumer.disconnect().catch(() => undefined) })
  const asleep = await KafkaTestClient.connect(gateway.kafkaPort)
  asleep.socket.pause()
  const waiting = await KafkaTestClient.connect(gateway.kafkaPort)
  sockets.push(asleep, waiting)
  const fetching = (maxWaitMs: number, fetchOffset: number) => ({
    maxWaitMs,
    minBytes: maxWaitMs === 0 ? 0 : 1 << 20,
    maxBytes: 1 << 20,
    topics: [{ topic: 'load', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }],
    forgottenTopicsData: [],
    rackId: '',
  })
  for (let count = 0; count < 50; count++) asleep.send(fetchApi, 11, fetching(0, 0))
  waiting.send(fetchApi, 11, fetching(60_000, 0))
  for (const each of devices) each.publishUntil(Number.MAX_SAFE_INTEGER)
  await pause(500)
  return devices
}

const acked = (devices: readonly NumberedDevice[]): number => devices.reduce((sum, each) => sum + each.acked, 0)

describe('SIGTERM', () => {
  it('under load, with clients that take nothing: a clean stop, nothing acknowledged is lost', async () => {
    await gateway.start()
    const devices = await load()
    gateway.signal('SIGTERM')
    expect(await gateway.ended(), gateway.stderr).toBe(0)
    await gateway.start()
    expect(await stored()).toBeGreaterThanOrEqual(acked(devices))
    expect(gateway.stderr).not.toMatch(/rebuilt|dropped|damaged|cut/)
  })

  it('while the disk stalls: it ends all the same, with 74 and a log line, and what was not acknowledged is open', async () => {
    await gateway.start()
    const devices = await load()
    gateway.disk('stall')
    await pause(300)
    gateway.signal('SIGTERM')
    expect(await gateway.ended()).toBe(74)
    expect(gateway.stderr).toContain('the gateway stops without waiting for a part longer')
    expect(gateway.stderr).toContain('stopped, but not cleanly')
    await gateway.start()
    expect(await stored()).toBeGreaterThanOrEqual(acked(devices))
  })

  it('twice at once is one signal; a second one later ends a stop that takes its time', async () => {
    await gateway.start()
    await load()
    gateway.disk('stall')
    await pause(300)
    gateway.signal('SIGINT')
    gateway.signal('SIGTERM')
    await gateway.says(/"stopping"/)
    await pause(700)
    gateway.signal('SIGINT')
    expect(await gateway.ended()).toBe(130)
  })

  it('while a start waits for space: it ends cleanly', async () => {
    gateway.spawn({ isFull: true })
    await gateway.says(/no room for a slot/)
    gateway.signal('SIGTERM')
    expect(await gateway.ended()).toBe(0)
    expect(gateway.stdout).toBe('')
    await gateway.start()
  })

  it('at any time of a start: it ends, and the start after that is a normal one', async () => {
    for (let delayMs = 0; delayMs < 500; delayMs += 35) {
      gateway.spawn()
      await pause(delayMs)
      gateway.signal('SIGTERM')
      // before the process listens to signals, nothing is open
      expect([0, 'SIGTERM'], `after ${delayMs} ms: ${gateway.stderr}`).toContain(await gateway.ended())
    }
    await gateway.start()
    expect(gateway.stderr).not.toMatch(/dropped|rebuilt|cut|damaged/)
  })
})

describe('a write that fails', () => {
  it('ends writing, not reading: 503 from readyz, errors for who writes, and a stop on request', async () => {
    await gateway.start()
    const devices = await load()
    gateway.disk('fail')
    await gateway.says(/nothing more is written until a restart/)
    await pause(300)
    const ackedThen = acked(devices)
    const ready = await fetch(`http://127.0.0.1:${gateway.httpPort}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('restart')])
    expect((await fetch(`http://127.0.0.1:${gateway.httpPort}/healthz`)).status).toBe(200)

    const producer = kafka().producer()
    await producer.connect()
    await expect(producer.send({ topic: 'load', messages: [{ value: 'x' }] })).rejects.toThrow()
    await producer.disconnect()
    await expect(device('late')).resolves.toBeDefined()
    expect(await stored(), 'reads go on').toBeGreaterThanOrEqual(ackedThen)
    const reader = await KafkaTestClient.connect(gateway.kafkaPort)
    sockets.push(reader)
    const { responses } = await reader.request(fetchApi, 11, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1 << 20,
      topics: [{ topic: 'load', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
      forgottenTopicsData: [],
      rackId: '',
    })
    expect(responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(0)

    gateway.signal('SIGTERM')
    expect(await gateway.ended(), gateway.stderr).toBe(74)
    await gateway.start()
    expect(await stored()).toBeGreaterThanOrEqual(ackedThen)
    expect(gateway.stderr, 'checkpoints are kept').not.toMatch(/dropped/)
  })
})
