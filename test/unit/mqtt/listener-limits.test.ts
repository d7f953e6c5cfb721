import { afterEach, describe, expect, it } from 'vitest'
import type { ListenerSettings } from '../../../src/config/listener-settings.ts'
import { publishPacket, RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'
import { settle, VirtualClock } from '../../support/virtual-clock.ts'

/** Limits of connections, rates and topics, and the words in which each protocol version hears of them. */

/** Time stands still, input and output go on. */
class HandClock extends VirtualClock {
  override afterIo(callback: () => void): void {
    setImmediate(callback)
  }
}

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
const refused = (reason: string): number => server.metrics.count('mqttRefusedConnections', reason)
const onlyListener = (settings: Partial<ListenerSettings>) => new Map([['mqtt://127.0.0.1:0', settings]])

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('a client too many', () => {
  it.each([
    ['mqtt.connections.max', 'connections.max', 3, { returnCode: 3 }],
    ['mqtt.connections.max', 'connections.max', 4, { returnCode: 3 }],
    ['mqtt.connections.per.address.max', 'address.connections.max', 5, { reasonCode: 0x97 }],
  ] as const)('%s is told in its CONNACK, and counted as %s (version %i)', async (setting, reason, version, answer) => {
    await start({ settings: { [setting]: 1 } })
    const first = await connect('first')
    const second = await connect('second', { version })
    expect(second.packets).toMatchObject([{ cmd: 'connack', ...answer }])
    await second.waitClosed()
    expect([refused(reason), server.front.clients().length]).toEqual([1, 1])
    first.destroy()
    await first.waitClosed()
    while (server.front.clients().length > 0) await settle()
    const third = await connect('first', { version })
    expect(third.packets).toMatchObject([{ cmd: 'connack', [version === 5 ? 'reasonCode' : 'returnCode']: 0 }])
  })

  it('takes no session over, and leaves no will', async () => {
    await start({ settings: { 'mqtt.connections.max': 1 } })
    const first = await connect('same')
    await connect('same', { will: { topic: 'w', payload: Buffer.from('x'), qos: 0, retain: false } })
    first.publish('a', 'still there', 1, 1)
    await first.waitCount('puback', 1)
    expect(server.open.broker.topics.find('w')).toBeUndefined()
  })

  it('is only closed when it comes too fast', async () => {
    await start({ settings: { 'mqtt.connection.rate.max': 2 }, clock: new HandClock() })
    await connect('a')
    await connect('b')
    await expect(connect('c')).rejects.toThrow('closed')
    expect(refused('connection.rate.max')).toBe(1)
  })

  it('is told at one listener and welcome at another', async () => {
    await start({ settings: { listeners: onlyListener({ 'mqtt.connections.max': 1 }) } })
    await connect('a')
    expect((await connect('b')).packets).toMatchObject([{ returnCode: 3 }])
    const { connectAsync } = await import('mqtt')
    const webClient = await connectAsync(`ws://127.0.0.1:${server.webSocketPort}`)
    await webClient.endAsync()
  })
})

describe('a rate', () => {
  const acked = (client: RawMqttClient): number => client.packets.filter(({ cmd }) => cmd === 'puback').length
  const publishes = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, index) => publishPacket('a/b', 'x'.repeat(bytes), 1, index + 1))
  /** Waits until the number of PUBACKs stands still. */
  const ackedInTime = async (client: RawMqttClient, count: number): Promise<number> => {
    await client.waitCount('puback', count)
    for (let turn = 0; turn < 20; turn++) await settle()
    return acked(client)
  }

  it('of publishes makes the client wait, and loses none', async () => {
    const clock = new HandClock()
    await start({ clock, settings: { 'mqtt.publish.rate.max': 10 } })
    const client = await connect('fast')
    const other = await connect('other')
    client.send(...publishes(25, 1))
    expect(await ackedInTime(client, 10)).toBe(10)
    other.send(...publishes(10, 1))
    expect(await ackedInTime(other, 10)).toBe(10)
    await clock.advance(500)
    expect(await ackedInTime(client, 15)).toBe(15)
    await clock.advance(1000)
    expect(await ackedInTime(client, 25)).toBe(25)
    expect((await server.records('a')).length).toBe(35)
    expect(server.metrics.count('mqttRatePauses')).toBeGreaterThan(1)
    expect(client.closed).toBe(false)
  })

  it('of bytes too; a publish larger than a second of it is taken and paid for', async () => {
    const clock = new HandClock()
    await start({ clock, settings: { 'mqtt.publish.bytes.rate.max': 10_000 } })
    const client = await connect('large')
    client.send(...publishes(2, 50_000))
    expect(await ackedInTime(client, 1)).toBe(1)
    await clock.advance(4000)
    expect(await ackedInTime(client, 1)).toBe(1)
    await clock.advance(100)
    expect(await ackedInTime(client, 2)).toBe(2)
  })

  it('bounds what waits: the socket is not read on', async () => {
    const clock = new HandClock()
    await start({ clock, settings: { 'mqtt.publish.rate.max': 1 } })
    const client = await connect('flood')
    client.send(...publishes(500, 10_000))
    await client.waitCount('puback', 1)
    for (let turn = 0; turn < 50; turn++) await settle()
    expect(server.memory.usedBytes).toBeLessThan(1 << 20)
  })

  it('does not hold up what a client sent before it left', async () => {
    const clock = new HandClock()
    await start({ clock, settings: { 'mqtt.publish.rate.max': 1 } })
    const client = await connect('gone')
    client.send(...Array.from({ length: 5 }, (_, index) => publishPacket('a/b', String(index), 0)))
    for (let turn = 0; turn < 10; turn++) await settle()
    client.destroy()
    await client.waitClosed()
    for (let turn = 0; turn < 10; turn++) await settle()
    await clock.advance(1000)
    await expect.poll(async () => (await server.records('a')).length).toBe(5)
  })
})

describe('levels of a topic', () => {
  const deep = 'a/b/c/d'
  const subscribed = async (client: RawMqttClient, ...filters: string[]): Promise<unknown> => {
    client.send({ cmd: 'subscribe', messageId: 9, subscriptions: filters.map(topic => ({ topic, qos: 0 as const })) })
    const [suback] = await client.waitCount('suback', 1)
    return (suback as unknown as { granted: unknown }).granted
  }

  it('beyond the limit are refused by the packet that has them: version 5', async () => {
    await start({ settings: { 'mqtt.topic.levels.max': 3 } })
    const client = await connect('five', { version: 5 })
    client.publish(deep, 'x', 1, 1)
    client.publish('a/b/c', 'x', 1, 2)
    const acks = await client.waitCount('puback', 2)
    expect(acks.map(ack => (ack as { reasonCode?: number }).reasonCode)).toEqual([0x90, 0])
    expect(await subscribed(client, 'a/+/+/#', 'a/+/#', '$share/g/a/b/c')).toEqual([0x8f, 0, 0])
    expect(server.metrics.count('mqttRefused', 'topic.levels.max')).toBe(1)
    const will = { topic: deep, payload: Buffer.from('x'), qos: 0, retain: false }
    expect((await connect('w', { version: 5, will })).packets).toMatchObject([{ cmd: 'connack', reasonCode: 0x90 }])
  })

  it('and before that: SUBACK 0x80, and the connection of a publisher ends', async () => {
    await start({ settings: { 'mqtt.topic.levels.max': 3 } })
    const client = await connect('four')
    expect(await subscribed(client, deep, 'a')).toEqual([0x80, 0])
    client.publish(deep, 'x', 1, 1)
    await client.waitClosed()
    expect(await server.records('a')).toEqual([])
  })
})

it('a listener may take smaller packets than the others', async () => {
  await start({ settings: { listeners: onlyListener({ 'mqtt.max.packet.bytes': 2048 }) } })
  const client = await connect('five', { version: 5 })
  expect(client.packets).toMatchObject([{ properties: { maximumPacketSize: 2048 } }])
  client.publish('a', 'x'.repeat(3000), 1, 1)
  expect(await client.waitFor(({ cmd }) => cmd === 'disconnect')).toMatchObject({ reasonCode: 0x95 })
})
