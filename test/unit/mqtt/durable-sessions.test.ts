import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'
import { numbers, publish, settle, take, values } from '../../support/numbered-publishes.ts'
import { SkippingClock } from '../../support/skipping-clock.ts'

/** A session that outlives its connection reads what it missed from the log. */

let server: MqttServer
const clients: RawMqttClient[] = []
const start = async (options: MqttServerOptions = {}): Promise<void> => {
  server = await MqttServer.start(options)
}
const restart = async (options: MqttServerOptions = {}): Promise<void> => {
  const { log } = server
  await server.stop()
  await start({ ...options, log })
}
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, clean: false, ...options })
  clients.push(client)
  return client
}
const subscribe = async (client: RawMqttClient, messageId: number, topic: string, qos: 0 | 1 | 2): Promise<void> => {
  client.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] })
  await client.waitFor(packet => packet.cmd === 'suback' && packet.messageId === messageId)
}
const leave = async (client: RawMqttClient): Promise<void> => {
  client.send({ cmd: 'disconnect' })
  await client.waitClosed()
  while (server.front.clients().some(({ clientId }) => clientId === 's')) await turn()
}
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const isPresent = (client: RawMqttClient): boolean => (client.packets[0] as { sessionPresent: boolean }).sessionPresent

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('an absent session', () => {
  it('gets what it missed after a restart, in order, with its subscriptions, and then what is live', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/#', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 300)
    await restart()
    const again = await connect('p', { clean: true })
    await publish(again, 'a/x', 301, 400)
    const after = await connect('s')
    expect(isPresent(after)).toBe(true)
    expect(await take(after, 400)).toEqual(numbers(1, 400))
    await publish(again, 'a/x', 401, 410)
    expect(await take(after, 410)).toEqual(numbers(1, 410))
  })

  it('misses nothing beyond the bytes that may wait for it, and holds no copies', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    const before = await connect('s')
    await subscribe(before, 1, 'a/#', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 10)
    const used = server.memory.usedBytes
    await publish(publisher, 'a/x', 11, 2000)
    expect(server.memory.usedBytes - used).toBeLessThan(4096)
    const after = await connect('s')
    expect(await take(after, 2000)).toEqual(numbers(1, 2000))
    expect(server.metrics.count('mqttDropped')).toBe(0)
  })

  it('reads while others publish: nothing twice, nothing left out', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/#', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 1000)
    const after = await connect('s')
    const publishing = publish(publisher, 'a/x', 1001, 3000)
    expect(await take(after, 3000)).toEqual(numbers(1, 3000))
    await publishing
    await settle(after)
    expect(values(after).length).toBe(3000)
  })

  it('gets nothing from before a subscription, of other topics, of QoS 0, or that was not published over MQTT', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/x', 1)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 1)
    await before.waitCount('publish', 1)
    await publish(publisher, 'a/y', 2, 2)
    await subscribe(before, 2, 'a/y', 1)
    await leave(before)
    publisher.publish('a/x', 'zero', 0)
    await publish(publisher, 'a/y', 3, 4)
    await publish(publisher, 'b', 5, 5)
    await restart()
    const after = await connect('s')
    await take(after, 3)
    await settle(after)
    // the first was not acknowledged
    expect(values(after).sort()).toEqual(['1', '3', '4'])
  })

  it('is gone for good once it has ended', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/#', 1)
    await leave(before)
    const clean = await connect('s', { clean: true })
    await leave(clean)
    await restart()
    const after = await connect('s')
    expect(isPresent(after)).toBe(false)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 1)
    await settle(after)
    expect(values(after)).toEqual([])
  })

  it('counts what has left the log before it came back', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/x', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 10)
    for (const partition of server.open.broker.topics.get('a').partitions)
      if (server.open.broker.offsets(partition).logEnd > 0) await server.open.broker.deleteRecordsBefore(partition, 6)
    const after = await connect('s')
    expect(await take(after, 4)).toEqual(numbers(7, 10))
    expect(server.metrics.count('mqttDropped', 'left the log before it was read')).toBe(6)
  })

  it.each([
    ['mqtt.session.retention.ms', 60_000],
    ['mqtt.session.retention.bytes', 2000],
  ] as const)('is not given what is beyond %s, which is counted, and logged once', async (setting, limit) => {
    await start({ settings: { [setting]: limit } })
    const before = await connect('s')
    await subscribe(before, 1, 'a/x', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 100)
    server.log.logAge += 61
    await publish(publisher, 'a/x', 101, 110)
    const after = await connect('s')
    const firstPublish = await after.waitFor(({ cmd }) => cmd === 'publish')
    const first = Number((firstPublish as { payload: Buffer }).payload.toString())
    if (setting === 'mqtt.session.retention.ms') expect(first).toBe(101)
    else expect(first).toBeGreaterThan(80)
    expect(await take(after, 111 - first)).toEqual(numbers(first, 110))
    expect(server.metrics.count('mqttDropped', `beyond ${setting}`)).toBe(first - 1)
    await settle(after)
    const lines = server.lines.filter(({ event }) => event.includes('not given all'))
    expect(lines.map(({ fields }) => fields)).toEqual([{ client: 's', records: { [`beyond ${setting}`]: first - 1 } }])
  })

  it('survives the deletion of a topic of which it missed something', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, '#', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 10)
    await publish(publisher, 'b/x', 11, 20)
    server.open.broker.topics.delete('a')
    await restart()
    const after = await connect('s')
    expect(await take(after, 10)).toEqual(numbers(11, 20))
  })
})

describe('a topic is deleted', () => {
  it('while something of it is on its way to an absent session', async () => {
    await start({ settings: { 'mqtt.session.retention.bytes': 1_000_000 } })
    const before = await connect('s')
    await subscribe(before, 1, '#', 1)
    await leave(before)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 1)
    server.log.held = true
    publisher.publish('a/x', 'lost', 1, 9)
    while (server.metrics.count('mqttReceived') < 2) await turn()
    server.open.broker.topics.delete('a')
    server.log.release()
    await publisher.waitCount('puback', 2)
    await publish(publisher, 'b/x', 11, 20)
    const after = await connect('s')
    expect(await take(after, 10)).toEqual(numbers(11, 20))
    await settle(after)
  })

  it('while a client acknowledges what it had of it with QoS 2', async () => {
    const clock = new SkippingClock()
    await start({ clock })
    const client = await connect('s')
    await subscribe(client, 1, 'a/#', 2)
    const publisher = await connect('p', { clean: true })
    for (const id of [1, 2]) publisher.publish('a/x', String(id), 2, id)
    await publisher.waitCount('pubrec', 2)
    await client.waitCount('publish', 2)
    server.open.broker.topics.delete('a')
    for (const [index, { messageId }] of client.packets.filter(({ cmd }) => cmd === 'publish').entries()) {
      client.send({ cmd: 'pubrec', messageId: messageId! })
      await client.waitCount('pubrel', index + 1)
      client.send({ cmd: 'pubcomp', messageId: messageId! })
      await settle(client)
    }
    for (let round = 0; round < 4; round++) await clock.skip(6_000)
    await settle(client)
  })
})

describe('a connected session', () => {
  it('that does not keep up goes on from the log, without a loss and without being closed', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    const slow = await connect('s')
    await subscribe(slow, 1, 'a/#', 1)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 2000)
    expect(await take(slow, 2000)).toEqual(numbers(1, 2000))
    expect(slow.closed).toBe(false)
  })

  it('sends what is not acknowledged again, with DUP, before what was missed', async () => {
    await start()
    const before = await connect('s')
    await subscribe(before, 1, 'a/#', 1)
    const publisher = await connect('p', { clean: true })
    await publish(publisher, 'a/x', 1, 3)
    await before.waitCount('publish', 3)
    await leave(before)
    await publish(publisher, 'a/x', 4, 6)
    const after = await connect('s')
    expect(await take(after, 6)).toEqual(numbers(1, 6))
    const dups = after.packets.flatMap(packet => (packet.cmd === 'publish' ? [packet.dup] : []))
    expect(dups).toEqual([true, true, true, false, false, false])
  })
})
