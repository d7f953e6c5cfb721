import { afterEach, describe, expect, it } from 'vitest'
import { parseRoutes } from '../../../src/config/routes.ts'
import { partitionOfKey } from '../../../src/core/murmur2.ts'
import { defaultName } from '../../../src/mqtt/default-route.ts'
import { destinationOf, type StoredDestination } from '../../../src/mqtt/routes.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { headersOf, MqttServer } from '../../support/mqtt-server.ts'

const routesOf = (tree: unknown) => {
  const parsed = parseRoutes(tree)
  if (!('value' in parsed)) throw new Error(JSON.stringify(parsed))
  return parsed.value
}
const stored = (routes: unknown, mqttTopic: string): StoredDestination => {
  const destination = destinationOf(routesOf(routes), mqttTopic)
  if (!destination.store) throw new Error('not stored')
  return destination
}

describe('the default route', () => {
  it.each([
    ['sensors/a/temp', 'sensors'],
    ['/sensors/a', 'sensors'],
    ['//x', 'x'],
    ['plain', 'plain'],
    ['häuser/1', 'h_user'],
    ['a b/c', 'a_b'],
    ['😀/c', '_'],
    ['_one/c', '_one'],
    ['__internal/c', 'mqtt.other'],
    ['  x/c', 'mqtt.other'],
    ['./c', 'mqtt.other'],
    ['../c', 'mqtt.other'],
    ['/', 'mqtt.other'],
    [`${'n'.repeat(249)}/c`, 'n'.repeat(249)],
    [`${'n'.repeat(250)}/c`, 'mqtt.other'],
  ])('%s goes to %s', (mqttTopic, topic) => {
    expect(defaultName(mqttTopic).topic).toBe(topic)
    expect(stored([], mqttTopic)).toMatchObject({ topic, keyIsTopic: true, key: Buffer.from(mqttTopic) })
  })

  it('stores nothing that begins with $', () => {
    expect(destinationOf(routesOf([{ mqtt: '#', topic: 'all' }]), '$SYS/x').store).toBe(false)
  })
})

describe('configured routes', () => {
  const routes = [
    { mqtt: 'sensors/{site}/{device}/{metric}', topic: 'sensors', key: '{device}', headers: { at: '{site}-{metric}' } },
    { mqtt: 'debug/#', store: false },
    { mqtt: 'files/{path...}', topic: 'files', key: '{path}' },
    { mqtt: 'by/{name}/+', topic: 'by-{name}', key: null },
    { mqtt: 'whole/#', topic: 'whole' },
  ]

  it('fill topic, key and headers', () => {
    const found = stored(routes, 'sensors/north/d7/temp')
    expect(found).toMatchObject({ topic: 'sensors', key: Buffer.from('d7'), keyIsTopic: false })
    expect([...found.headers]).toEqual([['at', 'north-temp']])
    expect(stored(routes, 'files/a/b/c').key?.toString()).toBe('a/b/c')
    expect(stored(routes, 'files').key?.toString()).toBe('')
    expect(stored(routes, 'by/Bö b/x')).toMatchObject({ topic: 'by-B__b', key: null })
    expect(stored(routes, 'whole/x')).toMatchObject({ key: Buffer.from('whole/x'), keyIsTopic: true })
  })

  it('the first match wins, and what none matches takes the default route', () => {
    expect(destinationOf(routesOf(routes), 'debug/x').store).toBe(false)
    expect(destinationOf(routesOf(routes), 'debug').store).toBe(false)
    expect(stored(routes, 'sensors/north').rule).toEqual({ kind: 'default' })
    const both = [
      { mqtt: 'a/#', topic: 'first' },
      { mqtt: 'a/b', topic: 'second' },
    ]
    expect(stored(both, 'a/b').topic).toBe('first')
  })
})

describe('records', () => {
  let server: MqttServer
  afterEach(() => server.stop())

  it('go to the partition that Kafka’s Java client would choose, or spread batch by batch', async () => {
    server = await MqttServer.start({
      settings: { routes: routesOf([{ mqtt: 'spread/#', topic: 'spread', key: null, headers: { h: 'v' } }]) },
    })
    const client = await RawMqttClient.connect(server.port, { clientId: 'c' })
    let id = 0
    for (let index = 0; index < 20; index++) client.publish(`keyed/${index}`, 'v', 1, ++id)
    for (let index = 0; index < 8; index++) {
      client.publish(`spread/${index}`, 'v', 1, ++id)
      await client.waitCount('puback', id)
    }
    for (const { key, partition } of await server.records('keyed')) expect(partition).toBe(partitionOfKey(key!, 4))
    const spread = await server.records('spread')
    expect(new Set(spread.map(({ partition }) => partition)).size).toBe(4)
    expect(spread.every(({ key }) => key === null)).toBe(true)
    expect(headersOf(spread[0]!)).toEqual({
      'mqtt.client': 'c',
      h: 'v',
      'mqtt.topic': expect.stringMatching(/^spread/),
    })
    client.destroy()
  })

  it('follow a topic that was deleted and made again, and more partitions', async () => {
    server = await MqttServer.start()
    const client = await RawMqttClient.connect(server.port, { clientId: 'c' })
    client.publish('a/x', '1', 1, 1)
    await client.waitCount('puback', 1)
    server.open.broker.topics.delete('a')
    client.publish('a/x', '2', 1, 2)
    await client.waitCount('puback', 2)
    expect((await server.records('a')).map(({ value }) => value!.toString())).toEqual(['2'])
    server.open.broker.topics.addPartitions('a', 16)
    client.publish('a/x', '3', 1, 3)
    await client.waitCount('puback', 3)
    const third = (await server.records('a')).find(({ value }) => value!.toString() === '3')
    expect(third!.partition).toBe(partitionOfKey(Buffer.from('a/x'), 16))
    client.destroy()
  })

  it('are explained without making anything', async () => {
    server = await MqttServer.start({ settings: { routes: routesOf([{ mqtt: 'debug/#', store: false }]) } })
    expect(server.front.explain('sensors/a')).toMatchObject({
      rule: 'default route',
      stored: true,
      topic: 'sensors',
      topicExists: false,
      key: 'sensors/a',
      partition: partitionOfKey(Buffer.from('sensors/a'), 4),
    })
    expect(server.front.explain('debug/a')).toMatchObject({ rule: 'debug/#', stored: false })
    expect(server.front.explain('a/+')).toMatchObject({ rule: 'refused', stored: false })
    expect(server.open.broker.topics.find('sensors')).toBeUndefined()
    const client = await RawMqttClient.connect(server.port, { clientId: 'c' })
    client.publish('a b/x', '1', 1, 1)
    client.publish('a_b/x', '2', 1, 2)
    await client.waitCount('puback', 2)
    expect(server.front.explain('a_b/x')).toMatchObject({ topic: 'a_b', sharedWith: ['a b'] })
    client.destroy()
  })
})
