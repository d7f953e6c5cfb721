import { afterEach, describe, expect, it } from 'vitest'
import { parseRoutes } from '../../../../src/config/routes.ts'
import { decodeSparkplug } from '../../../../src/wire/sparkplug/payload.ts'
import { CrashingLog } from '../../../support/crashing-log.ts'
import { RawMqttClient } from '../../../support/mqtt-client.ts'
import { headersOf, MqttServer, type MqttServerOptions } from '../../../support/mqtt-server.ts'
import { SimRandom } from '../../../support/sim/random.ts'
import { SkippingClock } from '../../../support/skipping-clock.ts'
import { encodePayload, int, TestEdge } from '../../../support/sparkplug-edge.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const routesOf = (...routes: object[]) => {
  const parsed = parseRoutes(routes)
  return 'value' in parsed ? parsed.value : expect.unreachable(JSON.stringify(parsed.problems))
}
const route = { mqtt: 'spBv1.0/#', topic: 'metrics', decode: 'sparkplug' }
const start = async (options: MqttServerOptions = {}): Promise<void> => {
  server = await MqttServer.start({ ...options, settings: { routes: routesOf(route), ...options.settings } })
}
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, ...options })
  clients.push(client)
  return client
}
const listener = async (topic: string): Promise<RawMqttClient> => {
  const client = await connect(`listens to ${topic}`)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] })
  await client.waitCount('suback', 1)
  return client
}
/** All records in the order in which they were made, which with one edge node is that of their keys' partitions only. */
const records = async (type?: string) =>
  (await server.records('metrics'))
    .map(record => ({ headers: headersOf(record), key: record.key?.toString(), value: record.value! }))
    .filter(({ headers }) => headers['sparkplug.error'] === undefined)
    .filter(({ headers }) => type === undefined || headers['sparkplug.type'] === type)
    .map(({ headers, key, value }) => ({ headers, key, value: JSON.parse(value.toString()) }))
const valuesOf = async (key: string): Promise<unknown[]> =>
  (await records()).filter(record => record.key === key).map(({ value }) => value.value)
const bdSeq = (value: number) => ({ name: 'bdSeq', datatype: 8, longValue: value })
const commands = (client: RawMqttClient) =>
  client.packets.flatMap(packet =>
    packet.cmd === 'publish' ? decodeSparkplug(packet.payload as Buffer).metrics.map(({ name }) => name) : [],
  )

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('decode: sparkplug', () => {
  it('makes a record of each metric, by name where only an alias came', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [bdSeq(4), int('count', 1, 10)])
    await edge.say('DBIRTH', [{ name: 'motor/rpm', alias: 2, datatype: 9, floatValue: 1.5 }], 'd1')
    await edge.say('NDATA', [int(undefined, 1, 11)])
    await edge.say(
      'DDATA',
      [
        {
          alias: 2,
          floatValue: 2.5,
          timestamp: 5,
          properties: { keys: ['Quality'], values: [{ type: 3, intValue: 192 }] },
        },
        { alias: 2, isNull: true, isHistorical: true },
      ],
      'd1',
    )
    const sender = { group: 'plant', edgeNode: 'e1' }
    const timestamp = 1_700_000_000_000
    expect(await records('NBIRTH')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'plant/e1', value: { online: true, timestamp, bdSeq: 4, ...sender } }),
        expect.objectContaining({
          key: 'plant/e1/count',
          value: { name: 'count', type: 'Int32', value: 10, timestamp, ...sender },
        }),
      ]),
    )
    expect(await valuesOf('plant/e1/count')).toEqual([10, 11])
    const device = { ...sender, device: 'd1' }
    expect((await records('DDATA')).map(({ key, value }) => [key, value])).toEqual([
      [
        'plant/e1/d1/motor/rpm',
        { name: 'motor/rpm', type: 'Float', value: 2.5, timestamp: 5, quality: 192, ...device },
      ],
      [
        'plant/e1/d1/motor/rpm',
        { name: 'motor/rpm', type: 'Float', value: null, timestamp, isNull: true, isHistorical: true, ...device },
      ],
    ])
    expect((await records('DDATA'))[0]!.headers).toEqual({
      'mqtt.topic': 'spBv1.0/plant/DDATA/e1/d1',
      'sparkplug.type': 'DDATA',
    })
    expect(server.metrics.count('sparkplugRebirths')).toBe(0)
  })

  it('keeps aliases across a restart', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [bdSeq(0), int('count', 1, 10)])
    await edge.say('DBIRTH', [int('t', 2, 1)], 'd1')
    const { log } = server
    await server.stop()
    await start({ log })
    const again = new TestEdge(await connect('e1'))
    again.seq = 2
    await again.say('NDATA', [int(undefined, 1, 11)])
    await again.say('DDATA', [int(undefined, 2, 12)], 'd1')
    expect(await valuesOf('plant/e1/count')).toEqual([10, 11])
    expect(await valuesOf('plant/e1/d1/t')).toEqual([1, 12])
    expect((await records()).some(({ value }) => value.stale)).toBe(false)
  })

  it('stores what it cannot name as it came, and asks for a birth, not each time', async () => {
    await start()
    const listens = await listener('spBv1.0/plant/NCMD/e1')
    const edge = new TestEdge(await connect('e1'))
    const unknown = encodePayload(1, [int(undefined, 9, 5)])
    await edge.send('NDATA', unknown)
    await edge.send('NDATA', unknown)
    await edge.say('NBIRTH', [int('count', 1, 10)])
    await edge.send('NDATA', unknown)
    await edge.send('NDATA', Buffer.from('no protobuf'))
    const raw = (await server.records('metrics')).filter(record => headersOf(record)['sparkplug.error'] !== undefined)
    expect(raw.map(record => headersOf(record)['sparkplug.error'])).toEqual([
      ...['no birth', 'no birth', 'unknown alias', 'malformed'],
    ])
    expect(raw[0]!.value).toEqual(unknown)
    expect(raw[0]!.key!.toString()).toBe('spBv1.0/plant/NDATA/e1')
    await listens.waitCount('publish', 1)
    expect(commands(listens)).toEqual(['Node Control/Rebirth'])
    expect(server.metrics.count('sparkplugUndecoded', 'no birth')).toBe(2)
    expect(server.metrics.count('sparkplugRebirths')).toBe(1)
  })

  it('marks what comes after a gap as stale until the next birth', async () => {
    await start()
    const listens = await listener('spBv1.0/plant/NCMD/e1')
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [int('count', 1, 10)])
    edge.seq++
    await edge.say('NDATA', [int(undefined, 1, 11)])
    await edge.say('NDATA', [int(undefined, 1, 12)])
    await edge.say('NBIRTH', [int('count', 1, 13)])
    await edge.say('NDATA', [int(undefined, 1, 14)])
    const stale = (await records())
      .filter(({ key }) => key === 'plant/e1/count')
      .map(({ value }) => value.stale === true)
    expect(stale).toEqual([false, true, true, false, false])
    await listens.waitCount('publish', 1)
    expect(server.metrics.count('sparkplugRebirths', 'sequence gap')).toBe(1)
  })

  it('follows the sequence over 255', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [int('count', 1, 0)])
    for (let value = 1; value < 300; value++) await edge.say('NDATA', [int(undefined, 1, value)])
    expect(await valuesOf('plant/e1/count')).toEqual(Array.from({ length: 300 }, (_, value) => value))
    expect(server.metrics.count('sparkplugRebirths')).toBe(0)
  })

  it('a death by will is of its own birth; what follows without a birth is stale', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [bdSeq(5), int('count', 1, 1)])
    await edge.say('DBIRTH', [int('t', 2, 1)], 'd1')
    await edge.say('NDEATH', [bdSeq(4)])
    await edge.say('NDATA', [int(undefined, 1, 2)])
    expect(await valuesOf('plant/e1/count')).toEqual([1, 2])
    const will = {
      topic: 'spBv1.0/plant/NDEATH/e1',
      payload: encodePayload(undefined, [bdSeq(5)]),
      qos: 1,
      retain: false,
    }
    const dying = await connect('dying', { will })
    dying.destroy()
    await expect.poll(async () => (await records('NDEATH')).filter(({ key }) => key === 'plant/e1').length).toBe(1)
    const [death] = (await records('NDEATH')).filter(({ key }) => key === 'plant/e1')
    expect(death!.value).toMatchObject({ online: false, bdSeq: 5 })
    await edge.say('DDATA', [int('named', undefined, 3)], 'd1')
    expect((await records('DDATA'))[0]!.value).toMatchObject({ value: 3, stale: true })
    expect(server.metrics.count('sparkplugRebirths', 'no birth')).toBe(1)
  })

  it('an edge node that was lost with the gateway is dead once nobody would have waited for it any longer', async () => {
    const clock = new SkippingClock()
    const log = new CrashingLog()
    await start({ log, clock })
    const payload = encodePayload(undefined, [bdSeq(5)])
    const will = { topic: 'spBv1.0/plant/NDEATH/e1', payload, qos: 1, retain: false }
    const edge = new TestEdge(await connect('e1', { will, keepalive: 20 }))
    await edge.say('NBIRTH', [bdSeq(5), int('count', 1, 1)])
    const after = await log.afterCrash(new SimRandom(1))
    await server.stop()
    await start({ log: after, clock })
    const deaths = async () => (await records('NDEATH')).filter(({ key }) => key === 'plant/e1')
    await clock.skip(29_000)
    expect(await deaths()).toEqual([])
    await clock.skip(2000)
    await expect.poll(deaths).toMatchObject([{ value: { online: false, bdSeq: 5 } }])
    const bridged = new TestEdge(await connect('bridge'))
    await bridged.say('NDATA', [int('count', undefined, 2)])
    expect((await records('NDATA'))[0]!.value).toMatchObject({ value: 2, stale: true })
    expect(server.metrics.count('sparkplugRebirths', 'no birth')).toBe(1)
  })

  it('a device dies alone, and is not born with its edge node', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [int('count', 1, 1)])
    await edge.say('DBIRTH', [int('t', 2, 1)], 'd1')
    await edge.say('DDEATH', [], 'd1')
    expect((await records('DDEATH')).map(({ key, value }) => [key, value.online])).toEqual([['plant/e1/d1', false]])
    await edge.say('DBIRTH', [int('t', 2, 2)], 'd1')
    await edge.say('NBIRTH', [int('count', 1, 2)])
    await edge.say('DDATA', [int(undefined, 2, 3)], 'd1')
    expect(await valuesOf('plant/e1/d1/t')).toEqual([1, 2])
    expect(server.metrics.count('sparkplugUndecoded', 'no birth')).toBe(1)
  })

  it('makes keys by a template, or none', async () => {
    const mqtt = 'spBv1.0/{group}/+/{edge}/{device...}'
    await start({ settings: { routes: routesOf({ ...route, mqtt, key: '{edge}-{device}-{metric}' }) } })
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [int('count', 1, 1)])
    await edge.say('DBIRTH', [int('t', 2, 1)], 'd1')
    expect((await records()).map(({ key }) => key).sort()).toEqual(['e1--count', 'e1-d1-t', 'plant/e1', 'plant/e1/d1'])
  })

  it('leaves other topics alone, and gives subscribers what was published', async () => {
    await start()
    const listens = await listener('spBv1.0/#')
    const client = await connect('host')
    client.publish('spBv1.0/STATE/scada', '{"online":true}', 1, 1)
    await client.waitCount('puback', 1)
    const edge = new TestEdge(await connect('e1'))
    const payload = encodePayload(0, [int('count', 1, 10)])
    await edge.send('NBIRTH', payload)
    await listens.waitCount('publish', 2)
    const published = listens.packets.flatMap(packet => (packet.cmd === 'publish' ? [packet.payload] : []))
    expect(published[1]).toEqual(payload)
    const [state] = (await server.records('metrics')).filter(({ key }) => key!.toString() === 'spBv1.0/STATE/scada')
    expect(headersOf(state!)).toEqual({ 'mqtt.client': 'host' })
  })

  it('an absent session gets the publishes, not the records', async () => {
    await start()
    const away = await connect('away', { clean: false })
    away.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'spBv1.0/#', qos: 1 }] })
    await away.waitCount('suback', 1)
    away.destroy()
    await expect.poll(() => server.metrics.text()).toContain('brooklet_mqtt_connections 0')
    const edge = new TestEdge(await connect('e1'))
    await edge.say('NBIRTH', [int('count', 1, 10), int('b', 2, 1)])
    const back = await connect('away', { clean: false })
    await back.waitCount('publish', 1)
    back.send({ cmd: 'pingreq' })
    await back.waitCount('pingresp', 1)
    expect(back.packets.filter(({ cmd }) => cmd === 'publish')).toHaveLength(1)
  })

  it('more metrics than fit in one commit are stored as they came', async () => {
    await start()
    const edge = new TestEdge(await connect('e1'))
    await edge.say(
      'NBIRTH',
      Array.from({ length: 9000 }, (_, alias) => int(`metric ${alias}`, alias, alias)),
    )
    const stored = await server.records('metrics')
    expect(stored.length === 1 || stored.length === 9001).toBe(true)
  })
})

describe('the host application', () => {
  const state = (client: RawMqttClient) =>
    client.packets.flatMap(packet => (packet.cmd === 'publish' ? [JSON.parse(packet.payload.toString())] : []))

  it('is online while the gateway is, and nobody else says otherwise', async () => {
    await start({ settings: { 'sparkplug.host.id': 'gw' } })
    const listens = await listener('spBv1.0/STATE/gw')
    await listens.waitCount('publish', 1)
    expect(state(listens)).toEqual([{ online: true, timestamp: expect.any(Number) }])
    const forger = await connect('forger', { version: 5 })
    forger.publish('spBv1.0/STATE/gw', '{"online":false}', 1, 1, { retain: true })
    expect(await forger.waitFor(({ cmd }) => cmd === 'puback')).toMatchObject({ reasonCode: 0x87 })
    forger.publish('spBv1.0/STATE/gw', '{"online":false}', 1, 2)
    await forger.waitCount('puback', 2)
    const namesake = await connect('gw-1', { version: 5 })
    namesake.publish('spBv1.0/STATE/gw', '{"online":false}', 1, 1, { retain: true })
    expect(await namesake.waitFor(({ cmd }) => cmd === 'puback')).toMatchObject({ reasonCode: 0x87 })
    const { log } = server
    await server.stop()
    await listens.waitCount('publish', 2)
    expect(state(listens).map(({ online }) => online)).toEqual([true, false])
    await start({ log, settings: { 'sparkplug.host.id': 'other' } })
    const later = await listener('spBv1.0/STATE/#')
    await later.waitCount('publish', 2)
    expect(
      state(later)
        .map(({ online }) => online)
        .sort(),
    ).toEqual([false, true])
  })

  it('is none by default', async () => {
    await start()
    expect(server.open.broker.topics.find('metrics')).toBeUndefined()
  })
})
