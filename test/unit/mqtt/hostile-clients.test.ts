import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

/** What one client may send must never reach another: an exception anywhere would end the process, and fails these tests. */

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
/** The server is alive and takes publishes. */
const works = async (): Promise<void> => {
  const client = await RawMqttClient.connect(server.port, { clientId: 'good' })
  client.publish('good/x', 'v', 1, 1)
  await client.waitCount('puback', 1)
  client.destroy()
}
const connectPacket = (clientId: string, version: number, more: object = {}): never =>
  ({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId,
    clean: true,
    keepalive: 0,
    ...more,
  }) as never

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('names that JavaScript knows', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('client id %s', async clientId => {
    await start()
    for (const version of [4, 5]) {
      const first = await connect(clientId, { version, clean: false })
      const second = await connect(clientId, { version, clean: false })
      await first.waitClosed()
      second.publish('a/x', 'v', 2, 1)
      await second.waitCount('pubrec', 1)
      second.destroy()
    }
    await works()
  })

  it.each(['__proto__', 'constructor', 'toString'])('topic filter %s, topic and user property', async name => {
    await start()
    const before = server.memory.usedBytes
    const client = await connect('a', { version: 5 })
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: name, qos: 1 }] })
    await client.waitCount('suback', 1)
    client.publish(name, 'v', 1, 2, { properties: { userProperties: Object.fromEntries([[name, 'x']]) } })
    await client.waitCount('publish', 1)
    client.destroy()
    await client.waitClosed()
    await works()
    // the subscription has gone with its client: publishes take the short way again, and nothing is kept
    while (server.memory.usedBytes > before) await new Promise(resolve => setImmediate(resolve))
    expect(server.memory.usedBytes).toBe(before)
    const other = await connect('b')
    other.publish(name, 'v', 1, 1)
    await other.waitCount('puback', 1)
  })
})

describe('packets out of place', () => {
  const bytesOf = (client: RawMqttClient, ...packets: never[]): Buffer => client.encode(...packets)
  it.each([4, 5])('end their connection, version %d', async version => {
    await start()
    const wrong: (readonly [string, (client: RawMqttClient) => Buffer])[] = [
      ['CONNECT twice', client => bytesOf(client, connectPacket('x', version), connectPacket('x', version))],
      ['PUBLISH first', client => bytesOf(client, { cmd: 'publish', topic: 'a', payload: '', qos: 0 } as never)],
      ['PINGREQ first', client => bytesOf(client, { cmd: 'pingreq' } as never)],
      ['a server packet', client => bytesOf(client, connectPacket('y', version), { cmd: 'pingresp' } as never)],
      [
        'the reserved type',
        client => Buffer.concat([bytesOf(client, connectPacket('z', version)), Buffer.from([0, 0])]),
      ],
      [
        'a topic of U+0000',
        client => Buffer.concat([bytesOf(client, connectPacket('n', version)), Buffer.from([0x30, 4, 0, 1, 0, 0])]),
      ],
      [
        'a filter with U+0000',
        client =>
          Buffer.concat([
            bytesOf(client, connectPacket('m', version)),
            Buffer.from(version === 5 ? [0x82, 7, 0, 1, 0, 0, 1, 0, 1] : [0x82, 6, 0, 1, 0, 1, 0, 1]),
          ]),
      ],
      [
        'a filter with 65,535 levels',
        client =>
          bytesOf(client, connectPacket('l', version), {
            cmd: 'subscribe',
            messageId: 1,
            subscriptions: [{ topic: '/'.repeat(65_534), qos: 1 }],
          } as never),
      ],
      ['a client id with U+0000', client => bytesOf(client, connectPacket('a\0b', version))],
      ['a client id of 60,000 bytes', client => bytesOf(client, connectPacket('i'.repeat(60_000), version))],
      [
        'a will with wildcards',
        client =>
          bytesOf(client, connectPacket('w', version, { will: { topic: 'a/#', payload: Buffer.from('x'), qos: 1 } })),
      ],
    ]
    for (const [what, bytes] of wrong) {
      const client = await RawMqttClient.open(server.port, version)
      client.ignoreErrors = true
      clients.push(client)
      client.sendBytes(bytes(client))
      // QoS 0 to an illegal topic is dropped
      if (what === 'a topic of U+0000') continue
      await Promise.race([
        client.waitClosed(),
        new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} is let through`)), 2000)),
      ])
    }
    await works()
    expect(server.metrics.count('mqttRefusedConnections', 'protocol')).toBeGreaterThanOrEqual(wrong.length - 1)
  })

  it('MQTT 5 topic aliases: 0, too high, unknown', async () => {
    await start()
    for (const [topic, topicAlias] of [
      ['a', 0],
      ['a', 11],
      ['', 3],
    ] as const) {
      const client = await connect(`alias${topicAlias}`, { version: 5 })
      client.publish(topic, 'v', 1, 1, { properties: { topicAlias } })
      expect(await client.waitFor(({ cmd }) => cmd === 'disconnect')).toMatchObject({ reasonCode: 0x94 })
      await client.waitClosed()
    }
    await works()
  })
})

describe('a client id that is taken over', () => {
  it('while the connection before is just closing is still known, and its session kept', async () => {
    await start()
    for (let round = 0; round < 60; round++) {
      const old = await connect('same', { version: 5, properties: { sessionExpiryInterval: 0 } })
      old.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] })
      await old.waitCount('suback', 1)
      const fresh = await RawMqttClient.open(server.port, 5)
      clients.push(fresh)
      fresh.send(connectPacket('same', 5, { clean: false, properties: { sessionExpiryInterval: 600 } }))
      if (round % 3 === 0) await new Promise(resolve => setImmediate(resolve))
      old.destroy()
      await fresh.waitCount('connack', 1)
      fresh.publish('exact/x', String(round), 2, 5)
      await fresh.waitCount('pubrec', 1)
      for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
      fresh.publish('exact/x', String(round), 2, 5, { dup: true })
      await fresh.waitCount('pubrec', 2)
      expect(server.front.clients().map(({ clientId }) => clientId)).toEqual(['same'])
      // the next one must find it
      const last = await connect('same', { version: 5 })
      await fresh.waitClosed()
      last.destroy()
      await last.waitClosed()
    }
    expect((await server.records('exact')).length).toBe(60)
  })
})
