import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { headersOf, MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const start = async (options: MqttServerOptions = {}): Promise<void> => {
  server = await MqttServer.start(options)
}
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, ...options })
  clients.push(client)
  return client
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe.each([
  ['hot path', true],
  ['general way alone', false],
])('publishes by the %s', (_name, hotPath) => {
  it.each([3, 4, 5])('stores QoS 0, 1 and 2 of version %d and acknowledges them', async version => {
    await start({ hotPath })
    const client = await connect('dev-1', { version })
    client.publish('sensors/a/temp', '20', 0)
    client.publish('sensors/a/temp', '21', 1, 7)
    client.publish('sensors/a/temp', '22', 2, 8)
    expect(await client.waitFor(packet => packet.cmd === 'puback')).toMatchObject({ messageId: 7 })
    expect(await client.waitFor(packet => packet.cmd === 'pubrec')).toMatchObject({ messageId: 8 })
    client.send({ cmd: 'pubrel', messageId: 8 })
    expect(await client.waitFor(packet => packet.cmd === 'pubcomp')).toMatchObject({ messageId: 8 })
    const records = await server.records('sensors')
    expect(records.map(({ key, value }) => [key?.toString(), value?.toString()])).toEqual([
      ['sensors/a/temp', '20'],
      ['sensors/a/temp', '21'],
      ['sensors/a/temp', '22'],
    ])
    expect(records.map(headersOf)).toEqual([
      { 'mqtt.client': 'dev-1', 'mqtt.qos': '0' },
      { 'mqtt.client': 'dev-1' },
      { 'mqtt.client': 'dev-1', 'mqtt.qos': '2' },
    ])
    expect(server.metrics.count('mqttStored')).toBe(3)
  })

  it('stores MQTT 5 properties as headers', async () => {
    await start({ hotPath, clockQuality: () => 'unknown' })
    const client = await connect('dev-1', { version: 5 })
    client.publish('a/b', 'x', 1, 1, {
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
        contentType: 'text/plain',
        responseTopic: 'r/t',
        correlationData: Buffer.from([1, 2]),
        userProperties: { site: ['north', 'south'], line: '4' },
      },
    })
    await client.waitFor(packet => packet.cmd === 'puback')
    const [record] = await server.records('a')
    expect(record!.headers.map(({ key, value }) => [key, value!.toString('latin1')])).toEqual([
      ['mqtt.client', 'dev-1'],
      ['mqtt.payload.format', '1'],
      ['mqtt.message.expiry', '60'],
      ['mqtt.content.type', 'text/plain'],
      ['mqtt.response.topic', 'r/t'],
      ['mqtt.correlation', '\x01\x02'],
      ['mqtt.user.site', 'north'],
      ['mqtt.user.site', 'south'],
      ['mqtt.user.line', '4'],
      ['clock', 'unknown'],
    ])
  })

  it('hands publishes to subscribers too, and keeps the order of a client', async () => {
    await start({ hotPath })
    const subscriber = await connect('sub')
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 1 }] })
    await subscriber.waitFor(packet => packet.cmd === 'suback')
    const client = await connect('pub')
    for (let id = 1; id <= 50; id++) client.publish(id % 3 === 0 ? 'b/x' : 'a/x', String(id), 1, id)
    const acks = await client.waitCount('puback', 50)
    expect(acks.map(packet => packet.messageId)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    const expected = Array.from({ length: 50 }, (_, index) => index + 1).filter(id => id % 3 !== 0)
    const got = await subscriber.waitCount('publish', expected.length)
    expect(got.map(packet => Number((packet as { payload: Buffer }).payload.toString()))).toEqual(expected)
    expect((await server.records('b')).map(({ value }) => Number(value!.toString()))).toEqual(
      Array.from({ length: 16 }, (_, index) => (index + 1) * 3),
    )
  })
})
