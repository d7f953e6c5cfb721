import { readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Admin, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, describe, expect } from 'vitest'
import { resetOffsets } from '../../src/client/group-admin.ts'
import { reservedSlots } from '../../src/storage/options.ts'
import { openCentral } from '../support/central-records.ts'
import { Gateway, runBrooklet, serveArguments } from '../support/gateway.ts'
import { requireFileSystem, SmallFileSystem } from '../support/small-file-system.ts'
import { startProgram } from '../support/tools.ts'

/** Another program fills the file system of a gateway that has no reserve. */

const topic = 'readings'
const payload = Buffer.alloc(32 * 1024, 'r')
const slotBytes = 4 << 20
const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** Slots whose blocks belong to the log. */
const preparedSlots = (log: string): number =>
  readdirSync(log).filter(name => statSync(`${log}/${name}`).size === slotBytes).length

describe.each(['tmpfs', 'ext4'] as const)('a full %s', kind => {
  const test = requireFileSystem(kind)
  let disk: SmallFileSystem | undefined
  let gateway: Gateway | undefined
  let device: MqttClient | undefined

  afterEach(async () => {
    device?.end(true)
    await gateway?.dispose()
    disk?.unmount()
    ;[device, gateway, disk] = [undefined, undefined, undefined]
  })

  const kafka = (): Kafka => new Kafka({ brokers: [gateway!.addresses.kafka], logLevel: logLevel.NOTHING })
  const readiness = async () => {
    const response = await fetch(`${gateway!.httpUrl}/readyz`)
    const { checks } = (await response.json()) as { checks: { name: string; detail: string }[] }
    return { status: response.status, log: checks.find(({ name }) => name === 'log')?.detail }
  }
  const setBudget = (admin: Admin, value: string): Promise<unknown> =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.BROKER, name: '1', configEntries: [{ name: 'disk.budget', value }] }],
    })
  const readingsRead = async (): Promise<number[]> => {
    const consumer = kafka().consumer({ groupId: `reader-${Math.random()}` })
    const admin = kafka().admin()
    await Promise.all([consumer.connect(), admin.connect()])
    const ends = await admin.fetchTopicOffsets(topic)
    const left = new Map(
      ends.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, Number(high)]),
    )
    const read: number[] = []
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>(resolve => {
      const eachMessage = async ({
        partition,
        message,
      }: {
        partition: number
        message: { value: Buffer | null; offset: string }
      }) => {
        read.push(message.value!.readUInt32BE(0))
        if (Number(message.offset) + 1 >= left.get(partition)!) left.delete(partition)
        if (left.size === 0) resolve()
      }
      void consumer.run({ eachMessage })
    })
    await Promise.all([consumer.disconnect(), admin.disconnect()])
    return read.sort((one, other) => one - other)
  }

  test('makes appends wait, then refuses them; everything else goes on, and so do appends when there is space again', async () => {
    disk = SmallFileSystem.mount(kind, 112)
    const dataDirectory = `${disk.path}/data`
    gateway = await Gateway.start({ dataDirectory, settings: { 'disk.budget': '85MiB' } })
    device = await connectAsync(gateway.mqttUrl, { protocolVersion: 5, clientId: 'device', reconnectPeriod: 0 })
    const stored: number[] = []
    const publish = async (number: number): Promise<void> => {
      const reading = Buffer.from(payload)
      reading.writeUInt32BE(number, 0)
      await device!.publishAsync(`${topic}/temperature`, reading, { qos: 1 })
      stored.push(number)
    }
    const publishUntilRefused = async (): Promise<{ code?: number; message: string }> => {
      for (let number = stored.length; number < 10_000; number++) {
        const error = await publish(number).then(
          () => undefined,
          (refused: { code?: number; message: string }) => refused,
        )
        if (error !== undefined) return error
      }
      throw new Error('nothing was refused')
    }
    await publish(0)
    // the reserve is prepared in the background, beside the slot in use
    await expect.poll(() => preparedSlots(`${dataDirectory}/log`)).toBeGreaterThan(reservedSlots)
    await disk.fill()

    expect(await publishUntilRefused()).toMatchObject({ code: 0x97 })
    expect(await readiness()).toEqual({
      status: 503,
      log: expect.stringContaining('the file system of data.dir is full'),
    })
    const producer = kafka().producer({ retry: { retries: 0 } })
    await producer.connect()
    const sent = producer.send({ topic, messages: [{ value: payload }], timeout: 1000 })
    await expect(sent).rejects.toMatchObject({ cause: { type: 'KAFKA_STORAGE_ERROR' } })
    await producer.disconnect()

    const admin = kafka().admin()
    await admin.connect()
    const cluster = openCentral(gateway.addresses.kafka)
    await resetOffsets(cluster, 'app', [{ topic, partition: 0, offset: 1 }])
    cluster.close()
    await admin.createTopics({ topics: [{ topic: 'other' }] })
    await admin.deleteTopics({ topics: ['other'] })
    // whoever needs the space can take it from the log
    await setBudget(admin, '84MiB')
    await setBudget(admin, '85MiB')
    await admin.disconnect()
    expect(await readingsRead()).toEqual(stored)

    await gateway.kill()
    await gateway.restart()
    expect(await readingsRead()).toEqual(stored)
    const dump = await runBrooklet(['log', 'verify', dataDirectory]).catch(() => undefined)
    expect(dump?.code).not.toBe(70)
    expect((await gateway.stop()).code).toBe(0)
    await gateway.restart()

    await disk.empty()
    await expect.poll(readiness).toEqual({ status: 200, log: 'writable' })
    device = await connectAsync(gateway.mqttUrl, { protocolVersion: 5, clientId: 'device', reconnectPeriod: 0 })
    for (let number = stored.length, end = stored.length + 20; number < end; number++) await publish(number)
    expect(await readingsRead()).toEqual(stored)
    expect((await gateway.stop()).code).toBe(0)
  })

  test('without any room for a log is said at the start', async () => {
    disk = SmallFileSystem.mount(kind, 112)
    await disk.fill(64 * 1024)
    const words = serveArguments(`${disk.path}/data`, { settings: { 'disk.budget': '85MiB' } })
    const waiting = startProgram(process.execPath, [mainFile, ...words])
    try {
      await expect.poll(waiting.stderr).toMatch(/no room|no space|full/i)
    } finally {
      await waiting.stop()
    }
    // told in words: no broken invariant
    expect(waiting.child.exitCode).not.toBe(70)
  })
})
