import mqtt from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { parseDeliver } from '../../../src/config/deliver.ts'
import { partitionOfKey } from '../../../src/core/murmur2.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
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
const subscribe = async (client: RawMqttClient, topic: string, qos: 0 | 1 | 2 = 1): Promise<void> => {
  const before = client.packets.filter(({ cmd }) => cmd === 'suback').length
  client.send({ cmd: 'subscribe', messageId: 60_000 + before, subscriptions: [{ topic, qos }] })
  await client.waitCount('suback', before + 1)
}
const reasonOf = (packet: object): number => ('reasonCode' in packet ? Number(packet.reasonCode) : 0)
const payloads = (client: RawMqttClient): string[] =>
  client.packets.flatMap(packet => (packet.cmd === 'publish' ? [packet.payload.toString()] : []))

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('retained publishes', () => {
  it('survive a restart, and an empty payload removes them', async () => {
    await start()
    const client = await connect('a', { version: 5 })
    client.publish('a/x', 'kept', 1, 1, { retain: true, properties: { contentType: 'text/plain' } })
    client.publish('a/y', 'gone', 1, 2, { retain: true })
    client.publish('a/y', '', 1, 3, { retain: true })
    await client.waitCount('puback', 3)
    const { log } = server
    await server.stop()
    await start({ log })
    const subscriber = await connect('s', { version: 5 })
    await subscribe(subscriber, 'a/#')
    expect(await subscriber.waitFor(({ cmd }) => cmd === 'publish')).toMatchObject({
      topic: 'a/x',
      retain: true,
      properties: { contentType: 'text/plain' },
    })
    expect(payloads(subscriber)).toEqual(['kept'])
    expect((await server.records('a')).map(record => headersOf(record)['mqtt.retain'])).toEqual(['1', '1', '1'])
  })

  it('beyond the limit are stored as records only, and counted', async () => {
    await start({ settings: { 'mqtt.retained.max': 1 } })
    const client = await connect('a')
    client.publish('a/x', '1', 1, 1, { retain: true })
    client.publish('a/y', '2', 1, 2, { retain: true })
    await client.waitCount('puback', 2)
    expect(server.metrics.count('mqttDropped', 'retained full')).toBe(1)
    expect(server.lines.filter(({ event }) => event === 'retained publish has no room')).toMatchObject([
      { level: 'warn', fields: { topic: 'a/y', topics: 1 } },
    ])
    expect((await server.records('a')).length).toBe(2)
  })
})

describe('wills', () => {
  it('are stored and published when a client is lost, not when it says goodbye', async () => {
    await start()
    const subscriber = await connect('s')
    await subscribe(subscriber, 'state/#')
    const will = { topic: 'state/a', payload: Buffer.from('lost'), qos: 1, retain: true }
    const polite = await connect('polite', { will })
    polite.send({ cmd: 'disconnect' })
    await polite.waitClosed()
    const lost = await connect('lost', { will })
    lost.destroy()
    await subscriber.waitFor(({ cmd }) => cmd === 'publish')
    const records = await server.records('state')
    expect(records.map(record => [record.value?.toString(), headersOf(record)])).toEqual([
      ['lost', { 'mqtt.client': 'lost', 'mqtt.retain': '1' }],
    ])
    expect(payloads(subscriber)).toEqual(['lost'])
  })
})

describe('sessions', () => {
  it('of absent clients get what was published meanwhile', async () => {
    await start()
    const before = await connect('s', { clean: false })
    await subscribe(before, 'a/#')
    before.destroy()
    await before.waitClosed()
    const client = await connect('p')
    for (let id = 1; id <= 10; id++) client.publish('a/x', String(id), 1, id)
    await client.waitCount('puback', 10)
    const after = await connect('s', { clean: false })
    await after.waitCount('publish', 10)
    expect(payloads(after)).toEqual(Array.from({ length: 10 }, (_, index) => String(index + 1)))
  })

  it('hold a bounded queue of what is not stored; what finds no room is counted', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    const before = await connect('s', { clean: false })
    await subscribe(before, '$own/#')
    before.destroy()
    await before.waitClosed()
    const client = await connect('p')
    const used = server.memory.usedBytes
    for (let id = 1; id <= 100; id++) client.publish('$own/x', Buffer.alloc(1000), 1, id)
    await client.waitCount('puback', 100)
    // 256 bytes are counted for what a packet needs beside its payload
    const room = Math.floor((16 * 1024) / 1256)
    const dropped = (): number => server.metrics.count('mqttDropped', 'session queue full')
    while (dropped() < 100 - room) await new Promise(resolve => setImmediate(resolve))
    client.send({ cmd: 'pingreq' })
    await client.waitCount('pingresp', 1)
    expect(server.memory.usedBytes - used).toBeLessThan(18 * 1024)
  })
})

describe('WebSocket', () => {
  it('carries MQTT with the subprotocol mqtt', async () => {
    await start()
    const client = await mqtt.connectAsync(`ws://127.0.0.1:${server.webSocketPort}/mqtt`, { reconnectPeriod: 0 })
    await client.publishAsync('a/x', 'via ws', { qos: 2 })
    await client.endAsync()
    expect((await server.records('a')).map(({ value }) => value?.toString())).toEqual(['via ws'])
  })
})

describe('deliver rules', () => {
  const parsed = parseDeliver([{ topic: 'commands', mqtt: 'devices/{key}/commands', qos: 1 }])
  const deliver = 'value' in parsed ? parsed.value : []
  const produce = (key: string, value: string): void => {
    const topic = server.open.broker.topics.ensure('commands')
    const headers = [{ key: 'mqtt.content.type', value: Buffer.from('text/x') }]
    const batch = encodeBatch([{ timestampMs: 0, key: Buffer.from(key), value: Buffer.from(value), headers }])
    server.log.append([{ partition: topic.partitions[0]!, batch }])
  }

  it('publish new records to subscribers, do not store them again, and go on after a restart', async () => {
    await start({ settings: { deliver } })
    produce('d1', 'first')
    const subscriber = await connect('d1', { version: 5 })
    await subscribe(subscriber, 'devices/d1/commands')
    produce('d1', 'second')
    produce('d2', 'for another')
    await subscriber.waitFor(packet => packet.cmd === 'publish' && packet.payload.toString() === 'second')
    expect(subscriber.packets.at(-1)).toMatchObject({ qos: 1, properties: { contentType: 'text/x' } })
    expect([...server.open.broker.topics.all()].map(({ name }) => name)).toEqual(['commands'])
    const { log } = server
    const reached = (): boolean =>
      [...server.open.groups.committedOffsets('brooklet.deliver.commands')].some(({ offset }) => offset === 3)
    while (!reached()) await new Promise(resolve => setImmediate(resolve))
    await server.stop()
    await start({ log, settings: { deliver } })
    const again = await connect('d1', { version: 5 })
    await subscribe(again, 'devices/d1/commands')
    produce('d1', 'third')
    await again.waitFor(packet => packet.cmd === 'publish' && packet.payload.toString() === 'third')
    expect(payloads(again)).toEqual(['third'])
  })
})

describe('limits', () => {
  it('connections beyond mqtt.connections.max are closed and counted', async () => {
    await start({ settings: { 'mqtt.connections.max': 1 } })
    await connect('a')
    const refused = await RawMqttClient.open(server.port)
    refused.destroy()
    await refused.waitClosed()
    while (server.metrics.count('mqttRefusedConnections', 'connections.max') < 1)
      await new Promise(resolve => setImmediate(resolve))
  })

  it('a packet that is too large ends that connection with 0x95, before it is here', async () => {
    await start({ settings: { 'mqtt.max.packet.bytes': 2048 } })
    const five = await connect('five', { version: 5 })
    five.sendBytes(Buffer.from([0x32, 0xff, 0xff, 0x7f, 0, 1]))
    expect(await five.waitFor(({ cmd }) => cmd === 'disconnect')).toMatchObject({ reasonCode: 0x95 })
    await five.waitClosed()
    const four = await connect('four')
    four.sendBytes(Buffer.concat([Buffer.from([0x32, 0xff, 0xff, 0x7f]), Buffer.alloc(4000)]))
    await four.waitClosed()
    expect(server.metrics.count('mqttRefusedConnections', 'packet.size')).toBe(2)
    const exact = await connect('exact')
    exact.publish('a/x', Buffer.alloc(2048 - 3 - 2 - 3 - 2), 1, 1)
    await exact.waitCount('puback', 1)
  })

  it('what the log refuses is told by reason code in version 5, by the end of the connection before', async () => {
    await start({ settings: { 'partitions.max': 4 } })
    const five = await connect('five', { version: 5 })
    five.publish('a/x', '1', 1, 1)
    five.publish('b/x', '2', 1, 2)
    five.publish('c/x', '3', 2, 3)
    five.publish('a/x', '4', 1, 4)
    await five.waitCount('puback', 3)
    expect(five.packets.slice(1).map(packet => [packet.cmd, packet.messageId, reasonOf(packet)])).toEqual([
      ['puback', 1, 0],
      ['puback', 2, 0x97],
      ['pubrec', 3, 0x97],
      ['puback', 4, 0],
    ])
    const four = await connect('four')
    four.publish('b/x', '2', 1, 2)
    await four.waitClosed()
    expect(four.packets.some(({ cmd }) => cmd === 'puback')).toBe(false)
    expect(server.metrics.count('mqttRefused', 'topicLimit')).toBe(3)
  })

  it('topics past mqtt.auto.topics.max go to mqtt.other', async () => {
    await start({ settings: { 'mqtt.auto.topics.max': 2 } })
    for (const name of ['k1', 'k2', 'k3']) server.open.broker.topics.create({ name })
    const client = await connect('a')
    for (const [index, topic] of ['a/x', 'b/x', 'c/x', 'd/x', 'a/y'].entries()) client.publish(topic, 'v', 1, index + 1)
    await client.waitCount('puback', 5)
    const made = [...server.open.broker.topics.all()].map(({ name }) => name).sort()
    expect(made).toEqual(['a', 'b', 'k1', 'k2', 'k3', 'mqtt.other'])
    client.publish('k3/x', 'v', 1, 6)
    await client.waitCount('puback', 6)
    expect((await server.records('k3')).length).toBe(1)
    expect((await server.records('mqtt.other')).map(({ key }) => key?.toString()).sort()).toEqual(['c/x', 'd/x'])
    expect(server.front.explain('e/x')).toMatchObject({ topic: 'mqtt.other', topicExists: true, key: 'e/x' })
    const { log } = server
    await server.stop()
    await start({ log, settings: { 'mqtt.auto.topics.max': 3 } })
    expect(['a/x', 'e/x'].map(topic => server.front.explain(topic).topic)).toEqual(['a', 'e'])
    await server.stop()
    await start({ log, settings: { 'mqtt.auto.topics.max': 2 } })
    expect(server.front.explain('e/x').topic).toBe('mqtt.other')
  })

  it('subscriptions beyond mqtt.subscriptions.max are refused, and a line says so', async () => {
    await start({ settings: { 'mqtt.subscriptions.max': 2 } })
    const client = await connect('a')
    for (const topic of ['a', 'b', 'c']) await subscribe(client, topic)
    const granted = client.packets.flatMap(packet => (packet.cmd === 'suback' ? packet.granted : []))
    expect(granted).toEqual([1, 1, 128])
    expect(server.lines.filter(({ event }) => event === 'mqtt subscription refused')).toMatchObject([
      { level: 'warn', fields: { clientId: 'a', filter: 'c', reason: 'subscriptions.max' } },
    ])
  })

  it('a subscriber that does not read is bounded; publishers and others go on', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 64 * 1024 } })
    const slow = await connect('slow')
    await subscribe(slow, 'a/#', 0)
    const quick = await connect('quick')
    await subscribe(quick, 'a/last', 1)
    slow.pause()
    const client = await connect('p')
    const payload = Buffer.alloc(50_000)
    for (let id = 1; id <= 400; id++) {
      client.publish('a/x', payload, 1, id)
      if (id % 20 === 0) await client.waitCount('puback', id)
    }
    client.publish('a/last', 'end', 1, 401)
    await quick.waitFor(({ cmd }) => cmd === 'publish')
    expect(server.metrics.count('mqttDropped', 'slow subscriber')).toBeGreaterThan(0)
    expect(server.memory.usedBytes).toBeLessThan(1 << 20)
    slow.resume()
    slow.send({ cmd: 'pingreq' })
    await slow.waitCount('pingresp', 1)
  })

  it('takes no more than mqtt.inflight.max unacknowledged publishes from a client', async () => {
    await start({ settings: { 'mqtt.inflight.max': 10 } })
    const client = await connect('p')
    client.publish('a/x', 'v', 1, 1)
    await client.waitCount('puback', 1)
    server.log.held = true
    for (let id = 2; id <= 200; id++) client.publish('a/x', 'v', 1, id)
    const other = await connect('q')
    for (let round = 1; round <= 20; round++) {
      other.send({ cmd: 'pingreq' })
      await other.waitCount('pingresp', round)
    }
    const appended = server.open.broker.topics
      .get('a')
      .partitions.reduce((sum, id) => sum + server.open.broker.offsets(id).logEnd, 0)
    expect(appended).toBe(11)
    server.log.release()
    const acks = await client.waitCount('puback', 200)
    expect(acks.map(({ messageId }) => messageId)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
  })

  it('gives back all memory when connections end', async () => {
    await start()
    const client = await connect('p')
    for (let id = 1; id <= 100; id++) client.publish(`a/${id}`, 'v', 1, id)
    await client.waitCount('puback', 100)
    expect(server.memory.usedBytes).toBeGreaterThan(0)
    client.sendBytes(Buffer.from([0x32, 100, 0]))
    client.destroy()
    await client.waitClosed()
    while (server.memory.usedBytes > 0) await new Promise(resolve => setImmediate(resolve))
  })

  it('keeps a client alive that only publishes', async () => {
    await start()
    const client = await connect('p', { keepalive: 1 })
    for (let id = 1; id <= 25; id++) {
      client.publish('a/x', 'v', 1, id)
      await client.waitCount('puback', id)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(client.closed).toBe(false)
  })
})

describe('while devices publish', () => {
  it('more partitions, and a topic that is deleted, misroute nothing', async () => {
    await start()
    const { topics } = server.open.broker
    const client = await connect('p')
    const keys = Array.from({ length: 16 }, (_, index) => `a/${index}`)
    const round = async (first: number): Promise<void> => {
      for (const [index, key] of keys.entries()) client.publish(key, 'v', 1, first + index)
      await client.waitCount('puback', first + keys.length - 1)
    }
    await round(1)
    topics.addPartitions('a', 7)
    await round(17)
    const expected = (count: number): string[] => keys.map(key => `${partitionOfKey(Buffer.from(key), count)} ${key}`)
    const stored = async (): Promise<string[]> =>
      (await server.records('a')).map(({ partition, key }) => `${partition} ${key}`).sort()
    expect(await stored()).toEqual([...expected(4), ...expected(7)].sort())
    expect(server.front.routes.isKeyed('a')).toBe(true)
    topics.delete('a')
    await round(33)
    expect(await stored()).toEqual(expected(4).sort())
    expect(client.closed).toBe(false)
  })
})

describe('while memory is out', () => {
  it('sockets are not read, and are read again when there is memory', async () => {
    await start()
    const client = await connect('p')
    client.publish('a/x', '1', 1, 1)
    await client.waitCount('puback', 1)
    server.memory.take(server.memory.limitBytes)
    client.publish('a/x', '2', 1, 2)
    await client.waitCount('puback', 2)
    client.publish('a/x', '3', 1, 3)
    const watcher = await RawMqttClient.open(server.port)
    clients.push(watcher)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect((await server.records('a')).length).toBe(2)
    server.memory.give(server.memory.limitBytes)
    await client.waitCount('puback', 3)
    expect(server.metrics.count('memoryPauses', 'mqtt')).toBeGreaterThan(0)
  })
})
