import { afterEach, describe, expect, it } from 'vitest'
import { maxReplaysInPast } from '../../../src/mqtt/replays.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'
import { numbers, publish, settle, take, values } from '../../support/numbered-publishes.ts'

/** `$replay/{start}/{filter}`: what the log holds of MQTT topics, then what comes. */

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
let lastId = 0
/** The code in SUBACK. */
const subscribe = async (client: RawMqttClient, topic: string, qos: 0 | 1 | 2, more: object = {}): Promise<number> => {
  const messageId = ++lastId
  client.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos, ...more }] })
  const suback = await client.waitFor(packet => packet.cmd === 'suback' && packet.messageId === messageId)
  return (suback as { granted: number[] }).granted[0]!
}
const ended = async (clientId: string): Promise<void> => {
  while (server.front.clients().some(client => client.clientId === clientId))
    await new Promise(resolve => setImmediate(resolve))
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('a replay', () => {
  it.each([0, 1] as const)('with QoS %i gives what is stored, in order, then what comes', async qos => {
    await start()
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 500)
    await publish(publisher, 'b/x', 1000, 1100)
    const client = await connect('s')
    expect(await subscribe(client, '$replay/all/a/+', qos)).toBe(qos)
    expect(await take(client, 500)).toEqual(numbers(1, 500))
    await publish(publisher, 'a/x', 501, 520)
    await publish(publisher, 'b/x', 1101, 1110)
    expect(await take(client, 520)).toEqual(numbers(1, 520))
    await settle(client)
    expect(values(client)).toHaveLength(520)
    const topics = client.packets.flatMap(packet => (packet.cmd === 'publish' ? [packet.topic] : []))
    expect(new Set(topics)).toEqual(new Set(['a/x']))
  })

  it.each([0, 1] as const)(
    'with QoS %i goes over from the past to what comes: nothing twice, nothing left out',
    async qos => {
      await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
      const publisher = await connect('p')
      await publish(publisher, 'a/x', 1, 1000)
      const client = await connect('s', { clean: false })
      const publishing = publish(publisher, 'a/x', 1001, 3000)
      await subscribe(client, '$replay/all/a/x', qos)
      expect(await take(client, 3000)).toEqual(numbers(1, 3000))
      await publishing
      await settle(client)
      expect(values(client)).toHaveLength(3000)
      expect(server.metrics.count('mqttDropped')).toBe(0)
    },
  )

  it('gives what was appended before it and is synced after it', async () => {
    await start()
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 3)
    server.log.held = true
    publisher.publish('a/x', '4', 1, 100)
    await settle(publisher)
    const client = await connect('s')
    await subscribe(client, '$replay/all/a/x', 1)
    await settle(client)
    server.log.release()
    expect(await take(client, 4)).toEqual(numbers(1, 4))
  })

  it('begins at a log age', async () => {
    await start()
    const publisher = await connect('p')
    for (let hour = 0; hour < 5; hour++) {
      await publish(publisher, 'a/x', 10 * hour + 1, 10 * hour + 10)
      server.log.logAge += 3600
    }
    const client = await connect('s')
    await subscribe(client, '$replay/2h/a/x', 1)
    expect(await take(client, 20)).toEqual(numbers(31, 50))
    await subscribe(client, '$replay/30m/a/x', 1)
    await publish(publisher, 'a/x', 51, 51)
    // once for each of the two
    expect((await take(client, 22)).slice(20)).toEqual(['51', '51'])
  })

  it('begins at an offset of each partition', async () => {
    await start({ settings: { 'num.partitions': 1 } })
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 10)
    const client = await connect('s')
    await subscribe(client, '$replay/@7/a/#', 1)
    expect(await take(client, 3)).toEqual(numbers(8, 10))
    await subscribe(client, '$replay/@99/a/x', 0)
    await publish(publisher, 'a/x', 11, 11)
    expect((await take(client, 5)).slice(3)).toEqual(['11', '11'])
  })

  it('begins anew when it is subscribed again, and ends with UNSUBSCRIBE', async () => {
    await start()
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 10)
    const client = await connect('s')
    await subscribe(client, '$replay/all/a/x', 1)
    await take(client, 10)
    await subscribe(client, '$replay/all/a/x', 1)
    expect(await take(client, 20)).toEqual([...numbers(1, 10), ...numbers(1, 10)])
    await publish(publisher, 'a/x', 11, 11)
    await take(client, 21)
    client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$replay/all/a/x'] })
    await client.waitFor(({ cmd }) => cmd === 'unsuback')
    await publish(publisher, 'a/x', 12, 12)
    await settle(client)
    expect(values(client)).toHaveLength(21)
  })

  it('comes without what is retained, without own publishes when that is asked for, with its identifier', async () => {
    await start()
    const client = await connect('s', { version: 5 })
    client.publish('a/x', 'own', 1, 1, { properties: {} })
    await client.waitCount('puback', 1)
    const publisher = await connect('p')
    publisher.publish('a/x', 'other', 1, 1, { retain: true })
    await publisher.waitCount('puback', 1)
    client.send({
      cmd: 'subscribe',
      messageId: 7,
      properties: { subscriptionIdentifier: 5 },
      subscriptions: [{ topic: '$replay/1h/a/x', qos: 0, nl: true, rap: false, rh: 0 }],
    })
    const found = await client.waitFor(({ cmd }) => cmd === 'publish')
    await settle(client)
    expect(values(client)).toEqual(['other'])
    expect(found).toMatchObject({ retain: false, properties: { subscriptionIdentifier: 5 } })
  })

  it('belongs to the connection: what the session was not handed is given up and counted', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 1000)
    const before = await connect('s', { clean: false })
    await subscribe(before, '$replay/all/a/x', 1)
    await before.waitCount('publish', 1)
    before.destroy()
    await ended('s')
    expect(server.metrics.count('mqttDropped', 'rest of a replay')).toBe(1)
    await publish(publisher, 'a/x', 1001, 1001)
    const after = await connect('s', { clean: false })
    await settle(after)
    expect(values(after)).not.toContain('1000')
    expect(values(after)).not.toContain('1001')
  })

  it('goes on when a topic is deleted', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    const publisher = await connect('p')
    await publish(publisher, 'a/x', 1, 1000)
    await publish(publisher, 'b/x', 2001, 2010)
    const client = await connect('s')
    await subscribe(client, '$replay/all/#', 1)
    await client.waitCount('publish', 1)
    server.open.broker.topics.delete('a')
    const isOfB = (): boolean => values(client).includes('2010')
    for (let count = 1; !isOfB(); count++) await take(client, count)
    await publish(publisher, 'b/x', 2011, 2011)
    for (let count = values(client).length; !values(client).includes('2011'); count++) await take(client, count)
  })
})

describe('a replay is refused', () => {
  it.each([
    '$replay/1h',
    '$replay/1h/',
    '$replay//a',
    '$replay/60/a',
    '$replay/1x/a',
    '$replay/@/a',
    '$replay/+/a',
    '$replay/all/$SYS/#',
  ])('%s: not a valid filter', async filter => {
    await start()
    expect(await subscribe(await connect('five', { version: 5 }), filter, 0)).toBe(0x8f)
    expect(await subscribe(await connect('four'), filter, 0)).toBe(0x80)
  })

  it('by the rules for the filter within, and by one for all replays', async () => {
    const rule = (mqtt: string) => ({ mqtt, reason: 0x87 })
    await start({
      settings: { 'mqtt.subscribe.deny': [rule('secret/#'), rule('$replay/7d/#')], 'mqtt.topic.levels.max': 3 },
    })
    const client = await connect('s', { version: 5 })
    expect(await subscribe(client, '$replay/1h/secret/x', 0)).toBe(0x87)
    expect(await subscribe(client, '$replay/7d/a', 0)).toBe(0x87)
    expect(await subscribe(client, '$replay/1h/a/b/c', 0)).toBe(0)
    expect(await subscribe(client, '$replay/1h/a/b/c/d', 0)).toBe(0x8f)
  })

  it('beyond those that may read the past at once, until one of them has come to its end', async () => {
    await start({ settings: { 'mqtt.subscriber.max.bytes': 16 * 1024 } })
    await publish(await connect('p'), 'a/x', 1, 500)
    const clients = []
    for (let index = 0; index < maxReplaysInPast; index++) {
      clients.push(await connect(`s${index}`))
      expect(await subscribe(clients[index]!, '$replay/all/a/x', 1)).toBe(1)
    }
    const late = await connect('late', { version: 5 })
    expect(await subscribe(late, '$replay/all/a/x', 1)).toBe(0x97)
    await take(clients[0]!, 500)
    await settle(clients[0]!)
    expect(await subscribe(late, '$replay/all/a/x', 1)).toBe(1)
  })
})
