import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

/** What clients may make the gateway keep, and how it says no. */

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
const subscribe = (client: RawMqttClient, messageId: number, qos: 0 | 1 | 2, ...filters: string[]): void =>
  client.send({ cmd: 'subscribe', messageId, subscriptions: filters.map(topic => ({ topic, qos })) })
const granted = (client: RawMqttClient): unknown[] =>
  client.packets
    .flatMap(packet => (packet.cmd === 'suback' ? [packet] : []))
    // a refusal does not wait for those that are still at work
    .sort((one, other) => (one.messageId ?? 0) - (other.messageId ?? 0))
    .map(packet => packet.granted)
const received = (client: RawMqttClient): unknown[] =>
  client.packets.flatMap(packet => (packet.cmd === 'publish' ? [[packet.payload.toString(), packet.qos]] : []))
const ping = async (client: RawMqttClient): Promise<void> => {
  const before = client.packets.filter(({ cmd }) => cmd === 'pingresp').length
  client.send({ cmd: 'pingreq' })
  await client.waitCount('pingresp', before + 1)
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('subscriptions', () => {
  it.each([
    [4, 0x80],
    [5, 0x97],
  ])(
    'version %i: a SUBSCRIBE beyond the limit is refused as a whole, and nothing of it is kept',
    async (version, code) => {
      await start({ settings: { 'mqtt.subscriptions.max': 3 } })
      const session = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}
      const client = await connect('s', { version, clean: false, ...session })
      subscribe(client, 1, 1, 'a', 'b')
      subscribe(client, 2, 1, 'c', 'd')
      subscribe(client, 3, 1, 'a', 'c')
      await client.waitCount('suback', 3)
      expect(granted(client)).toEqual([
        [1, 1],
        [code, code],
        [1, 1],
      ])
      client.destroy()
      await client.waitClosed()
      const again = await connect('s', { version, clean: false, ...session })
      await ping(again)
      expect(server.front.clients()[0]?.subscriptions).toBe(3)
      expect(server.metrics.count('mqttRefused', 'subscriptions.max')).toBe(2)
    },
  )

  it('100,000 filters in one packet cost nothing', async () => {
    await start()
    const client = await connect('s', { clean: false })
    subscribe(client, 1, 1, ...Array.from({ length: 100_000 }, (_, index) => `f${index}`))
    await client.waitCount('suback', 1)
    expect(new Set(granted(client).flat())).toEqual(new Set([0x80]))
    subscribe(client, 2, 1, 'a')
    await client.waitCount('suback', 2)
  })

  it('all together keep to their share of memory', async () => {
    await start({ memoryBytes: 4 << 20 })
    const long = (index: number): string => `${'x'.repeat(50_000)}${index}`
    const many = await connect('s')
    for (let index = 1; index <= 20; index++) subscribe(many, index, 0, long(index))
    await many.waitCount('suback', 20)
    expect(server.metrics.count('mqttRefused', 'subscription memory')).toBeGreaterThan(10)
    many.destroy()
    await many.waitClosed()
    const other = await connect('o')
    subscribe(other, 1, 0, long(1))
    await other.waitCount('suback', 1)
    expect(granted(other)).toEqual([[0]])
  })
})

describe('what a subscriber gets', () => {
  it('has at most the QoS that it asked for, also by filters with wildcards', async () => {
    await start()
    const client = await connect('p')
    client.publish('a/r', 'kept', 1, 9, { retain: true })
    await client.waitCount('puback', 1)
    const zero = await connect('zero')
    subscribe(zero, 1, 0, 'a/#')
    const one = await connect('one', { clean: false })
    subscribe(one, 1, 1, 'a/+')
    await zero.waitCount('publish', 1)
    await one.waitCount('publish', 1)
    client.publish('a/x', 'two', 2, 1)
    await zero.waitCount('publish', 2)
    await one.waitCount('publish', 2)
    expect(received(zero)).toEqual([
      ['kept', 0],
      ['two', 0],
    ])
    expect(received(one)).toEqual([
      ['kept', 1],
      ['two', 1],
    ])
  })

  it('is not larger than the Maximum Packet Size of its CONNECT', async () => {
    await start()
    const small = await connect('small', { version: 5, properties: { maximumPacketSize: 100 } })
    subscribe(small, 1, 1, 'a/#')
    await small.waitCount('suback', 1)
    const client = await connect('p')
    client.publish('a/x', 'x'.repeat(100), 1, 1)
    client.publish('a/x', 'fits', 1, 2)
    await small.waitCount('publish', 1)
    expect(received(small)).toEqual([['fits', 1]])
    expect(server.metrics.count('mqttDropped', 'larger than the subscriber takes')).toBe(1)
  })
})

describe('what a client with a Maximum Packet Size is answered', () => {
  const disconnectCodes = (client: RawMqttClient): unknown[] =>
    client.packets
      .filter(packet => packet.cmd === 'disconnect')
      .map(packet => 'reasonCode' in packet && packet.reasonCode)
  const filters = Array.from({ length: 30 }, (_, index) => `f${index}`)

  it.each(['subscribe', 'unsubscribe'] as const)('no larger answer to %s: the connection ends with 0x95', async cmd => {
    await start()
    const small = await connect('small', { version: 5, properties: { maximumPacketSize: 34 } })
    subscribe(small, 1, 1, ...filters.slice(1))
    await small.waitCount('suback', 1)
    if (cmd === 'subscribe') subscribe(small, 2, 1, ...filters)
    else small.send({ cmd, messageId: 2, unsubscriptions: filters })
    await small.waitClosed()
    expect(disconnectCodes(small)).toEqual([0x95])
    expect(small.packets.filter(packet => packet.cmd === 'suback' || packet.cmd === 'unsuback')).toHaveLength(1)
    expect(server.metrics.count('mqttRefusedConnections', 'packet.size')).toBe(1)
  })

  it('nothing, where its CONNACK would be larger; its will is not published', async () => {
    await start()
    const watcher = await connect('watcher')
    subscribe(watcher, 1, 0, 'will')
    await watcher.waitCount('suback', 1)
    const tiny = await RawMqttClient.open(server.port, 5)
    tiny.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clientId: 'tiny',
      clean: true,
      keepalive: 60,
      properties: { maximumPacketSize: 10 },
      will: { topic: 'will', payload: Buffer.from('w'), qos: 0, retain: false },
    })
    await tiny.waitClosed()
    expect(tiny.packets).toEqual([])
    await ping(watcher)
    expect(received(watcher)).toEqual([])
    expect(server.metrics.count('mqttRefusedConnections', 'packet.size')).toBe(1)
  })
})

describe('QoS 2 packet ids', () => {
  it('beyond Receive Maximum end an MQTT 5 connection with 0x93', async () => {
    await start({ settings: { 'mqtt.inflight.max': 3 } })
    const client = await connect('p', { version: 5 })
    for (let id = 1; id <= 4; id++) client.publish('a/x', String(id), 2, id)
    expect(await client.waitFor(({ cmd }) => cmd === 'disconnect')).toMatchObject({ reasonCode: 0x93 })
    await client.waitClosed()
    expect((await server.records('a')).length).toBe(3)
  })

  it('of absent clients are bounded: those that began first are forgotten, and counted', async () => {
    await start({ settings: { 'mqtt.sessions.max': 2 } })
    for (const name of ['one', 'two', 'three']) {
      const client = await connect(name, { clean: false })
      client.publish('a/x', name, 2, 1)
      await client.waitCount('pubrec', 1)
      client.destroy()
      await client.waitClosed()
    }
    const present: boolean[] = []
    for (const name of ['one', 'three']) {
      const client = await connect(name, { clean: false })
      present.push((client.packets[0] as { sessionPresent?: boolean }).sessionPresent === true)
    }
    expect(present).toEqual([false, true])
    expect(server.metrics.count('mqttDropped', 'session evicted')).toBe(1)
  })
})

describe('wills and retained publishes', () => {
  it('wills of all clients keep to their share of memory; who comes too late is told', async () => {
    await start({ memoryBytes: 1 << 20 })
    const will = { topic: 'w', payload: Buffer.alloc(40_000), qos: 1, retain: false }
    const first = await connect('first', { version: 5, will })
    const second = await RawMqttClient.open(server.port, 5)
    clients.push(second)
    const packet = {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clientId: 'second',
      clean: true,
      keepalive: 0,
      will,
    }
    second.send(packet as never)
    expect(await second.waitFor(({ cmd }) => cmd === 'connack')).toMatchObject({ reasonCode: 0x88 })
    await second.waitClosed()
    first.destroy()
    await first.waitClosed()
    while (server.front.clients().length > 0) await new Promise(resolve => setImmediate(resolve))
    await connect('third', { version: 5, will })
  })

  it('a retained publish without room takes the one before with it, rather than leave it out of date', async () => {
    await start({ memoryBytes: 1 << 20 })
    const client = await connect('p')
    client.publish('a/x', 'old', 1, 1, { retain: true })
    client.publish('a/x', Buffer.alloc(200_000), 1, 2, { retain: true })
    await client.waitCount('puback', 2)
    const subscriber = await connect('s')
    subscribe(subscriber, 1, 1, 'a/#')
    await subscriber.waitCount('suback', 1)
    await ping(subscriber)
    expect(received(subscriber)).toEqual([])
    expect(server.metrics.count('mqttDropped', 'retained full')).toBe(1)
  })

  it('long topics do not fill the memory with plans and routes', async () => {
    await start({ memoryBytes: 4 << 20 })
    const client = await connect('p'.repeat(1000))
    for (let id = 1; id <= 200; id++) {
      client.publish(`${'t'.repeat(30_000)}/${id}`, 'v', 1, id)
      await client.waitCount('puback', id)
    }
    expect(server.memory.usedBytes).toBeLessThan(1 << 20)
  })
})
