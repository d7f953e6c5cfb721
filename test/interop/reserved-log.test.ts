import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterEach, describe, expect } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { requireFileSystem, SmallFileSystem } from '../support/small-file-system.ts'

/** Another program fills the file system of a gateway that has taken its slots ahead (`disk.reserve`). */

const MiB = 1024 * 1024
/** What `disk.budget=85MiB` leaves for the log beside 8 MiB of views, in slots of 4 MiB. */
const slots = 19
const value = Buffer.alloc(6 * 1024, 'r')

describe.each(['tmpfs', 'ext4'] as const)('a full %s', kind => {
  const test = requireFileSystem(kind)
  let disk: SmallFileSystem | undefined
  let gateway: Gateway | undefined

  afterEach(async () => {
    await gateway?.dispose()
    disk?.unmount()
    ;[gateway, disk] = [undefined, undefined]
  })

  const readiness = async (): Promise<number> => (await fetch(`${gateway!.httpUrl}/readyz`)).status

  test('does not hurt a reserved log: it takes records in, lap after lap, and starts again', async () => {
    disk = SmallFileSystem.mount(kind, 112)
    const dataDirectory = `${disk.path}/data`
    gateway = await Gateway.start({ dataDirectory, settings: { 'disk.budget': '85MiB', 'disk.reserve': 'true' } })
    const log = join(dataDirectory, 'log')
    const isReserved = () => {
      const files = readdirSync(log).map(name => statSync(join(log, name)).size)
      return files.length === slots && files.every(bytes => bytes === 4 * MiB)
    }
    while (!isReserved()) await new Promise(resolve => setTimeout(resolve, 50))
    await disk.fill()

    const kafka = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING })
    const producer = kafka.producer()
    await producer.connect()
    // more than all slots hold
    for (let round = 0; round < 24; round++) {
      const messages = Array.from({ length: 14 }, (_, key) => ({ key: `${key}`, value }))
      await Promise.all(Array.from({ length: 48 }, () => producer.send({ topic: 'readings', messages })))
    }
    await producer.disconnect()
    expect(await readiness()).toBe(200)
    expect(readdirSync(log)).toHaveLength(slots)

    await gateway.kill()
    await gateway.restart()
    const device = await connectAsync(gateway.mqttUrl, { protocolVersion: 5 })
    await device.publishAsync('readings/temperature', value, { qos: 1 })
    await device.endAsync()
    expect(await readiness()).toBe(200)
    expect(isReserved()).toBe(true)
    expect((await gateway.stop()).code).toBe(0)
  })
})
