import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'
import { settle, values } from '../../support/numbered-publishes.ts'

/** The promise of this broker: nothing is acknowledged, and no subscriber sees anything, before the sync. */

let server: MqttServer
const clients: RawMqttClient[] = []
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, ...options })
  clients.push(client)
  return client
}
const acked = (client: RawMqttClient): number[] =>
  client.packets.flatMap(packet => (packet.cmd === 'puback' ? [packet.messageId!] : []))

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe.each([
  { hotPath: true, version: 4 },
  { hotPath: true, version: 5 },
  { hotPath: false, version: 4 },
  { hotPath: false, version: 5 },
])('while the sync does not return (hot path $hotPath, version $version)', ({ hotPath, version }) => {
  it('no PUBACK and no PUBREC leaves, and all do when it returns', async () => {
    server = await MqttServer.start({ hotPath })
    const warm = await connect('warm', { version })
    warm.publish('a/x', 'warm', 1, 1)
    await warm.waitCount('puback', 1)
    const one = await connect('one', { version })
    const two = await connect('two', { version })
    const watcher = await connect('watcher')
    server.log.held = true
    one.publish('a/x', '0', 0)
    one.publish('a/x', '1', 1, 1)
    one.publish('a/x', '2', 1, 2)
    two.publish('a/x', '3', 2, 3)
    await settle(watcher)
    // the publishes were taken: they stand in the log, behind what readers see
    const partition = server.open.broker.topics.get('a').partitions
    const appended = (): number => partition.reduce((sum, id) => sum + server.open.broker.offsets(id).logEnd, 0)
    for (let round = 0; appended() < 5 && round < 100; round++) await settle(watcher)
    expect(appended()).toBe(5)
    expect((await server.records('a')).length).toBe(1)
    expect(one.packets.map(({ cmd }) => cmd)).toEqual(['connack'])
    expect(two.packets.map(({ cmd }) => cmd)).toEqual(['connack'])
    server.log.release()
    await one.waitCount('puback', 2)
    await two.waitCount('pubrec', 1)
    expect(one.packets.filter(({ cmd }) => cmd === 'puback').map(({ messageId }) => messageId)).toEqual([1, 2])
    expect((await server.records('a')).length).toBe(5)
  })

  it('subscribers see nothing, and all of it when it returns', async () => {
    server = await MqttServer.start({ hotPath })
    const subscriber = await connect('sub', { version })
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] })
    await subscriber.waitCount('suback', 1)
    const client = await connect('pub', { version })
    client.publish('a/x', 'warm', 1, 9)
    await client.waitCount('puback', 1)
    await subscriber.waitCount('publish', 1)
    server.log.held = true
    client.publish('a/x', '0', 0)
    client.publish('a/x', '1', 1, 1)
    client.publish('a/x', '2', 1, 2)
    client.publish('a/x', '3', 2, 3)
    for (let round = 0; round < 10; round++) await settle(subscriber)
    expect(values(subscriber)).toEqual(['warm'])
    expect(client.packets.map(({ cmd }) => cmd)).toEqual(['connack', 'puback'])
    server.log.release()
    await client.waitCount('pubrec', 1)
    await subscriber.waitCount('publish', 5)
    // more than MQTT promises: one order over all QoS. [MQTT-4.6.0-6]
    expect(values(subscriber)).toEqual(['warm', '0', '1', '2', '3'])
  })

  it('a retained publish is not shown to a new subscriber', async () => {
    server = await MqttServer.start({ hotPath })
    const client = await connect('pub', { version })
    const subscriber = await connect('sub', { version })
    server.log.held = true
    client.publish('a/x', 'kept', 1, 1, { retain: true })
    await settle(subscriber)
    for (let round = 0; round < 10; round++) await settle(subscriber)
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] })
    await subscriber.waitCount('suback', 1)
    for (let round = 0; round < 10; round++) await settle(subscriber)
    expect(values(subscriber)).toEqual([])
    server.log.release()
    await subscriber.waitCount('publish', 1)
    await client.waitCount('puback', 1)
  })

  it('a failed device acknowledges nothing and ends the connection', async () => {
    server = await MqttServer.start({ hotPath })
    const client = await connect('pub', { version })
    client.publish('a/x', 'warm', 1, 9)
    await client.waitCount('puback', 1)
    server.log.held = true
    client.publish('a/x', '1', 1, 1)
    client.publish('a/x', '2', 2, 2)
    const watcher = await connect('watcher')
    for (let round = 0; round < 10; round++) await settle(watcher)
    server.log.fail()
    await client.waitClosed()
    expect(client.packets.filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec')).toHaveLength(1)
  })
})

it('a topic with durability=relaxed is acknowledged before the sync, in order with others, and distributed after it', async () => {
  server = await MqttServer.start()
  const { topics } = server.open.broker
  topics.create({ name: 'fast', configs: new Map([['durability', 'relaxed']]) })
  const device = await connect('device')
  const watcher = await connect('watcher')
  watcher.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'fast/#', qos: 1 }] })
  await watcher.waitCount('suback', 1)
  server.log.held = true
  device.publish('fast/x', 'one', 1, 1)
  await device.waitCount('puback', 1)
  device.publish('slow/x', 'two', 1, 2)
  device.publish('fast/x', 'three', 1, 3)
  await settle(device)
  expect(acked(device)).toEqual([1])
  expect(values(watcher)).toEqual([])
  expect(await server.records('fast')).toEqual([])
  server.log.release()
  await device.waitCount('puback', 3)
  expect(acked(device)).toEqual([1, 2, 3])
  await watcher.waitCount('publish', 2)
  expect(values(watcher)).toEqual(['one', 'three'])
})
