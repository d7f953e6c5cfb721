import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'
import { numbers, settle, take, values } from '../../support/numbered-publishes.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, version: 5, ...options })
  clients.push(client)
  return client
}
const member = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await connect(clientId, options)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/group/a/#', qos: 1 }] })
  await client.waitCount('suback', 1)
  return client
}
const publish = async (count: number): Promise<void> => {
  const publisher = await connect(`p${clients.length}`)
  for (let id = 1; id <= count; id++) publisher.publish('a/x', String(id), 1, id)
  await publisher.waitCount('puback', count)
}
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const gone = async (clientId: string): Promise<void> => {
  while (server.front.clients().some(one => one.clientId === clientId)) await turn()
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('a shared subscription', () => {
  it('gives each member its share, and nothing twice', async () => {
    server = await MqttServer.start()
    const members = [await member('one'), await member('two'), await member('three')]
    await publish(300)
    await Promise.all(members.map(client => client.waitCount('publish', 100)))
    expect(members.map(client => values(client).length)).toEqual([100, 100, 100])
    expect(new Set(members.flatMap(values)).size).toBe(300)
  })

  it('gives what a member was not sent yet to others when it disconnects', async () => {
    server = await MqttServer.start()
    const session = { properties: { sessionExpiryInterval: 100, receiveMaximum: 2 }, clean: false }
    const slow = await member('slow', session)
    await publish(10)
    await slow.waitCount('publish', 2)
    const quick = await member('quick')
    slow.destroy()
    await gone('slow')
    // two are on their way to the slow one, which has a session
    await quick.waitCount('publish', 8)
    expect(values(quick)).toEqual(numbers(3, 10))
    const again = await connect('slow', session)
    await again.waitCount('publish', 2)
    expect(values(again)).toEqual(['1', '2'])
  })

  it('gives what a member has not acknowledged to others when its session ends', async () => {
    server = await MqttServer.start()
    const first = await member('first')
    await publish(5)
    await first.waitCount('publish', 5)
    const second = await member('second')
    first.destroy()
    await gone('first')
    await second.waitCount('publish', 5)
    expect(values(second)).toEqual(numbers(1, 5))
  })

  it('leaves what nobody is there for in the log, over a restart, whatever a session may hold', async () => {
    const settings = { 'mqtt.subscriber.max.bytes': 4096 }
    server = await MqttServer.start({ settings })
    const session = { properties: { sessionExpiryInterval: 100 }, clean: false }
    const before = await member('only', session)
    before.destroy()
    await gone('only')
    await publish(100)
    const { log } = server
    await server.stop()
    server = await MqttServer.start({ log, settings })
    await publish(3)
    const again = await connect('only', session)
    expect(await take(again, 103)).toEqual([...numbers(1, 100), ...numbers(1, 3)])
    await settle(again)
    expect(values(again)).toHaveLength(103)
    expect(server.metrics.count('mqttDropped')).toBe(0)
  })

  it('keeps copies of what is not stored for absent members, no more than a session may hold, and none over a restart', async () => {
    server = await MqttServer.start({ settings: { 'mqtt.subscriber.max.bytes': 4096 } })
    const session = { properties: { sessionExpiryInterval: 100 }, clean: false }
    const before = await connect('only', session)
    before.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/group/$local/#', qos: 1 }] })
    await before.waitCount('suback', 1)
    before.destroy()
    await gone('only')
    const publisher = await connect('p')
    for (let id = 1; id <= 100; id++) publisher.publish('$local/x', String(id), 1, id)
    await publisher.waitCount('puback', 100)
    while (server.metrics.count('mqttDropped', 'session queue full') === 0) await turn()
    const dropped = server.metrics.count('mqttDropped', 'session queue full')
    const again = await connect('only', session)
    expect(await take(again, 100 - dropped)).toEqual(numbers(1, 100 - dropped))
    again.destroy()
    await gone('only')
    publisher.publish('$local/x', 'late', 1, 101)
    await publisher.waitCount('puback', 101)
    const { log } = server
    await server.stop()
    server = await MqttServer.start({ log })
    const after = await connect('only', session)
    await settle(after)
    expect(values(after)).toEqual([])
  })

  it('keeps for an absent member when nobody else is there, and counts what nobody can take', async () => {
    server = await MqttServer.start()
    const only = await member('only', { properties: { sessionExpiryInterval: 100 }, clean: false })
    only.destroy()
    await gone('only')
    await publish(3)
    const again = await connect('only', { properties: { sessionExpiryInterval: 100 }, clean: false })
    await again.waitCount('publish', 3)
    const publisher = await connect('zero')
    again.destroy()
    await gone('only')
    publisher.publish('a/x', 'lost', 0)
    publisher.send({ cmd: 'pingreq' })
    await publisher.waitCount('pingresp', 1)
    while (server.metrics.count('mqttDropped', 'no member of the share') === 0) await turn()
  })
})
