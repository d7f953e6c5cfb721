import { createRequire } from 'node:module'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, expect } from 'vitest'
import { requireClient, sparkplugClient } from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'

/** An edge node of Eclipse Tahu says what it measures by alias; the gateway and the edge node are both restarted; a Kafka consumer reads names. */

interface Metric {
  readonly name?: string
  readonly alias?: number
  readonly type: string
  readonly value: unknown
}

interface EdgeNode {
  on(event: 'birth', listener: () => void): void
  on(event: 'ncmd', listener: (payload: { metrics: Metric[] }) => void): void
  publishNodeBirth(payload: { timestamp: number; metrics: Metric[] }): void
  publishNodeData(payload: { timestamp: number; metrics: Metric[] }): void
  publishDeviceBirth(device: string, payload: { timestamp: number; metrics: Metric[] }): void
  publishDeviceData(device: string, payload: { timestamp: number; metrics: Metric[] }, options?: object): void
  stop(): void
}

const timestamp = 1_700_000_000_000
let gateway: Gateway
let edge: EdgeNode | undefined

afterEach(async () => {
  edge?.stop()
  await gateway?.dispose()
})

const newEdge = (port: number): EdgeNode =>
  createRequire(sparkplugClient.needs)('sparkplug-client').newClient({
    serverUrl: `mqtt://127.0.0.1:${port}`,
    username: '',
    password: '',
    groupId: 'plant',
    edgeNode: 'line 1',
    clientId: 'line 1',
    publishDeath: true,
    mqttOptions: { reconnectPeriod: 100 },
  })

const bear = (one: EdgeNode): void => {
  const rebirth = { name: 'Node Control/Rebirth', type: 'Boolean', value: false }
  one.publishNodeBirth({ timestamp, metrics: [rebirth, { name: 'temp', alias: 5, type: 'Float', value: 20.5 }] })
  one.publishDeviceBirth('pump', { timestamp, metrics: [{ name: 'rpm', alias: 6, type: 'Int32', value: -1 }] })
}
const measure = (one: EdgeNode, temp: number, rpm: number, options?: object): void => {
  one.publishNodeData({ timestamp, metrics: [{ alias: 5, type: 'Float', value: temp }] })
  one.publishDeviceData('pump', { timestamp, metrics: [{ alias: 6, type: 'Int32', value: rpm }] }, options)
}

/** Everything in the topic: what was decoded as `name type value`, by key, and errors. */
async function read(): Promise<{ metrics: Record<string, string[]>; errors: string[] }> {
  const kafka = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets('plant')
  await admin.disconnect()
  const total = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const consumer = kafka.consumer({ groupId: `reader ${total}` })
  const metrics: Record<string, string[]> = {}
  const errors: string[] = []
  let count = 0
  await consumer.connect()
  await consumer.subscribe({ topic: 'plant', fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message: { key, value, headers } }) => {
      count++
      if (headers?.['sparkplug.error'] !== undefined) errors.push(String(headers['sparkplug.error']))
      else {
        const metric = JSON.parse(value!.toString())
        const said = 'online' in metric ? `online ${metric.online}` : `${metric.name} ${metric.type} ${metric.value}`
        metrics[key!.toString()] = [...(metrics[key!.toString()] ?? []), said]
      }
    },
  })
  await expect.poll(() => count).toBe(total)
  await consumer.disconnect()
  return { metrics, errors: errors.sort() }
}

requireClient(sparkplugClient)(
  'an edge node of Eclipse Tahu, over kill -9 of the gateway and its own restart',
  async () => {
    gateway = await Gateway.start({
      keepsAddresses: true,
      settings: { routes: '[{ mqtt: "spBv1.0/{group}/#", topic: "{group}", decode: sparkplug }]' },
    })
    const port = Number(gateway.addresses.mqtt.split(':').at(-1))
    let connects = 0
    const first = newEdge(port)
    edge = first
    first.on('birth', () => {
      if (++connects === 1) bear(first)
      measure(first, 20 + connects, connects)
    })
    // two of births that say so, four metrics with bdSeq, two readings
    await expect.poll(() => gateway.metric('sparkplug_records_total')).toBe(8)

    await gateway.kill()
    await gateway.restart()
    // no birth this time: the aliases are those from before
    await expect.poll(() => connects).toBe(2)
    await expect.poll(() => gateway.metric('sparkplug_records_total')).toBe(2)
    expect(await gateway.metric('sparkplug_undecoded_total')).toBe(0)

    first.stop()
    await expect.poll(() => gateway.metric('sparkplug_records_total')).toBe(4)
    const second = newEdge(port)
    edge = second
    second.on('birth', () => measure(second, 30, 30))
    const asked = new Promise<Metric[]>(resolve => second.on('ncmd', ({ metrics }) => resolve(metrics)))
    expect(await asked).toMatchObject([{ name: 'Node Control/Rebirth', type: 'Boolean', value: true }])
    bear(second)
    measure(second, 40, 40, { compress: true })
    await expect.poll(() => gateway.metric('sparkplug_records_total')).toBe(12)

    const { metrics, errors } = await read()
    expect(errors).toEqual(['no birth', 'no birth'])
    expect(metrics).toEqual({
      'plant/line 1': ['online true', 'online false', 'online true'],
      'plant/line 1/bdSeq': ['bdSeq UInt64 0', 'bdSeq UInt64 0', 'bdSeq UInt64 0'],
      'plant/line 1/Node Control/Rebirth': ['Node Control/Rebirth Boolean false', 'Node Control/Rebirth Boolean false'],
      'plant/line 1/temp': ['temp Float 20.5', 'temp Float 21', 'temp Float 22', 'temp Float 20.5', 'temp Float 40'],
      'plant/line 1/pump': ['online true', 'online true'],
      'plant/line 1/pump/rpm': ['rpm Int32 -1', 'rpm Int32 1', 'rpm Int32 2', 'rpm Int32 -1', 'rpm Int32 40'],
    })
  },
)
