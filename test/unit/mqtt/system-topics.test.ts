import { afterEach, describe, expect, it } from 'vitest'
import { version } from '../../../src/core/version.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const start = async (intervalMs = 20): Promise<void> => {
  server = await MqttServer.start({ settings: { 'mqtt.sys.interval': intervalMs } })
}
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, ...options })
  clients.push(client)
  return client
}
const subscribe = async (client: RawMqttClient, topic: string): Promise<void> => {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] })
  await client.waitCount('suback', 1)
}
/** What the client was told, newest value of each topic. */
const shown = (client: RawMqttClient): Record<string, string> =>
  Object.fromEntries(
    client.packets.flatMap(packet => (packet.cmd === 'publish' ? [[packet.topic, packet.payload.toString()]] : [])),
  )
const longMs = 3_600_000

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('topics under $SYS', () => {
  it('are told to a new subscriber at once, as retained, under the names of Mosquitto', async () => {
    await start(longMs)
    const device = await connect('d')
    device.publish('a/x', 'kept', 1, 1, { retain: true })
    await device.waitCount('puback', 1)
    const dashboard = await connect('dashboard')
    await subscribe(dashboard, '$SYS/#')
    await expect.poll(() => Object.keys(shown(dashboard)).length).toBe(53)
    expect(shown(dashboard)).toMatchObject({
      '$SYS/broker/version': `brooklet version ${version}`,
      '$SYS/broker/uptime': expect.stringMatching(/^\d+ seconds$/),
      '$SYS/broker/clients/connected': '2',
      '$SYS/broker/clients/total': '2',
      '$SYS/broker/clients/maximum': '2',
      '$SYS/broker/clients/disconnected': '0',
      '$SYS/broker/clients/expired': '0',
      // CONNECT, PUBLISH, CONNECT, SUBSCRIBE
      '$SYS/broker/messages/received': '4',
      '$SYS/broker/publish/messages/received': '1',
      '$SYS/broker/publish/bytes/received': '4',
      '$SYS/broker/store/messages/count': '1',
      '$SYS/broker/retained messages/count': '1',
      '$SYS/broker/subscriptions/count': '1',
      '$SYS/broker/load/messages/received/1min': '0.00',
    })
    const first = dashboard.packets.find(({ cmd }) => cmd === 'publish')
    expect(first).toMatchObject({ qos: 0, retain: true })
  })

  it('come again where they have changed', async () => {
    await start()
    const dashboard = await connect('dashboard')
    await subscribe(dashboard, '$SYS/broker/clients/#')
    await connect('other')
    await expect.poll(() => shown(dashboard)['$SYS/broker/clients/connected']).toBe('2')
    const changed = dashboard.packets.filter(packet => packet.cmd === 'publish' && !packet.retain)
    expect(changed.map(packet => packet.cmd === 'publish' && packet.topic).sort()).toEqual([
      '$SYS/broker/clients/active',
      '$SYS/broker/clients/connected',
      '$SYS/broker/clients/maximum',
      '$SYS/broker/clients/total',
    ])
  })

  it('count what goes in and out, and averages follow', async () => {
    await start()
    const dashboard = await connect('dashboard')
    await subscribe(dashboard, '$SYS/broker/#')
    const subscriber = await connect('s')
    await subscribe(subscriber, 'a/#')
    const device = await connect('d')
    for (let id = 1; id <= 10; id++) device.publish('a/x', 'abc', 1, id)
    await device.waitCount('puback', 10)
    await subscriber.waitCount('publish', 10)
    await expect.poll(() => shown(dashboard)['$SYS/broker/publish/bytes/received']).toBe('30')
    await expect.poll(() => Number(shown(dashboard)['$SYS/broker/load/publish/received/1min'])).toBeGreaterThan(0)
    const { metrics } = server
    expect(metrics.count('mqttBytesIn')).toBeGreaterThan(10 * 'a/x'.length)
    // CONNECT of three, SUBSCRIBE of two, and the publishes
    expect(metrics.count('mqttPacketsIn')).toBe(15)
    expect(metrics.count('mqttPacketsOut')).toBe(15 + metrics.count('mqttSent'))
    expect(metrics.count('mqttBytesOut')).toBeGreaterThan(metrics.count('mqttBytesIn'))
  })

  it('are not matched by a leading wildcard, and cannot be published to, nor by a will', async () => {
    await start()
    const everything = await connect('all')
    await subscribe(everything, '#')
    const watcher = await connect('watcher')
    await subscribe(watcher, '$SYS/#')
    const device = await connect('d', {
      version: 5,
      will: { topic: '$SYS/broker/version', payload: 'forged', qos: 1, retain: true },
    })
    device.publish('$SYS/broker/version', 'forged', 1, 1, { retain: true })
    expect(await device.waitFor(({ cmd }) => cmd === 'puback')).toMatchObject({ reasonCode: 0x87 })
    device.destroy()
    await expect.poll(() => server.metrics.count('mqttRefused', 'notAuthorized')).toBe(2)
    await expect.poll(() => shown(watcher)['$SYS/broker/clients/connected']).toBe('2')
    expect(shown(watcher)['$SYS/broker/version']).not.toBe('forged')
    expect(shown(everything)).toEqual({})
  })

  it('are off with mqtt.sys.interval=0', async () => {
    await start(0)
    const dashboard = await connect('dashboard')
    await subscribe(dashboard, '$SYS/#')
    dashboard.send({ cmd: 'pingreq' })
    await dashboard.waitCount('pingresp', 1)
    expect(shown(dashboard)).toEqual({})
  })
})
