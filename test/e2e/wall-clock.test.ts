import { Kafka, logLevel } from 'kafkajs'
import mqtt, { type MqttClient } from 'mqtt'
import { afterEach, expect, it } from 'vitest'
import type { GatewayOverview } from '../../src/http/status.ts'
import { Gateway } from '../support/gateway.ts'
import { readAll } from '../support/read-all.ts'

/** The real process while its wall clock jumps ten years either way: nothing changes but stamps. */

const tenYearsMs = 10 * 365 * 86_400_000
/** Node's wall clock moves ten years back at SIGUSR2, and with the next one twenty ahead. */
const jumping = `
  const real = Date.now
  let byMs = 0
  Date.now = () => real() + byMs
  process.on('SIGUSR2', () => { byMs = byMs < 0 ? ${tenYearsMs} : -${tenYearsMs} })
`

let gateway: Gateway
const clients: MqttClient[] = []
const connect = async (options: mqtt.IClientOptions): Promise<MqttClient> => {
  const client = await mqtt.connectAsync(gateway.mqttUrl, { reconnectPeriod: 0, protocolVersion: 5, ...options })
  clients.push(client)
  return client
}
const overview = async (): Promise<GatewayOverview> =>
  (await (await fetch(`${gateway.httpUrl}/api/v1/gateway`)).json()) as GatewayOverview
const until = async (what: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await what())) await new Promise(resolve => setTimeout(resolve, 20))
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true)
  await gateway.dispose()
})

it('order, retention, committed offsets, retained and queued publishes outlive jumps of ten years', async () => {
  const code = `data:text/javascript,${encodeURIComponent(jumping)}`
  const settings = { 'num.partitions': '1', 'retention.ms': '1h', 'clock.quality': 'synchronised' }
  gateway = await Gateway.start({ settings, nodeArguments: ['--import', code] })
  const jump = async (steps: number): Promise<void> => {
    process.kill(gateway.pid, 'SIGUSR2')
    await until(async () => (await overview()).clock.steps.length === steps)
  }
  const absent = { clientId: 'absent', clean: false, properties: { sessionExpiryInterval: 3600 } }
  const subscriber = await connect(absent)
  await subscriber.subscribeAsync('queued/#', { qos: 1 })
  await subscriber.endAsync()
  const device = await connect({ clientId: 'device' })
  const expiring = { qos: 1, properties: { messageExpiryInterval: 600 } } as const
  await device.publishAsync('queued/x', 'queued', expiring)
  await device.publishAsync('kept/x', 'kept', { ...expiring, retain: true })
  const admin = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  let sent = 0
  const publish = async (): Promise<void> => {
    for (let count = 0; count < 20; count++) await device.publishAsync('sensors/a', String(sent++), { qos: 1 })
  }
  await publish()
  await admin.setOffsets({ groupId: 'reader', topic: 'sensors', partitions: [{ partition: 0, offset: '20' }] })
  await jump(1)
  await publish()
  await jump(2)
  await publish()

  const records = await readAll(gateway.addresses.kafka, 'sensors')
  expect(records.map(({ value }) => value?.toString())).toEqual(Array.from({ length: 60 }, (_, index) => String(index)))
  const years = records.map(({ timestamp }) => new Date(Number(timestamp)).getUTCFullYear())
  const now = new Date().getUTCFullYear()
  expect([years[0], years[20], years[40]].map(year => Math.round((year! - now) / 10))).toEqual([0, -1, 1])
  const marks = records.map(({ headers }) => headers?.['clock']?.toString())
  expect([marks[0], marks[20], marks[40]]).toEqual([undefined, 'stepped', 'stepped'])
  const [offsets] = await admin.fetchOffsets({ groupId: 'reader', topics: ['sensors'] })
  expect(offsets?.partitions[0]?.offset).toBe('20')
  await admin.disconnect()

  const got: string[] = []
  const back = mqtt.connect(gateway.mqttUrl, { reconnectPeriod: 0, protocolVersion: 5, ...absent })
  clients.push(back)
  back.on('message', (topic, payload) => got.push(`${topic}=${payload}`))
  await until(() => back.connected)
  await back.subscribeAsync('kept/#', { qos: 1 })
  await until(() => got.length >= 2)
  expect(got.sort()).toEqual(['kept/x=kept', 'queued/x=queued'])
  const { steps } = (await overview()).clock
  expect(steps.map(({ fromMs, toMs }) => Math.round((toMs - fromMs) / tenYearsMs))).toEqual([-1, 2])
})
