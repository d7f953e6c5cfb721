import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseDeliver } from '../../../src/config/deliver.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const rules = (mqtt: string) => {
  const parsed = parseDeliver([{ topic: 'commands', mqtt, qos: 1 }])
  if (!('value' in parsed)) throw new Error(JSON.stringify(parsed))
  return parsed.value
}
const start = async (mqtt: string, options: MqttServerOptions = {}): Promise<RawMqttClient> => {
  server = await MqttServer.start({
    ...options,
    settings: { ...options.settings, deliver: rules(mqtt), 'num.partitions': 1 },
  })
  server.open.broker.topics.ensure('commands')
  const client = await RawMqttClient.connect(server.port, { clientId: 's', version: 5 })
  clients.push(client)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
  await client.waitCount('suback', 1)
  return client
}
interface Produced {
  key?: string | Buffer | null
  value?: string | null
  headers?: Record<string, string | Buffer>
}
const batchOf = (...records: Produced[]): Buffer =>
  encodeBatch(
    records.map(({ key = 'k', value = 'v', headers = {} }) => ({
      timestampMs: 0,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      headers: Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) })),
    })),
  )
const append = (batch: Buffer): void => {
  server.log.append([{ partition: server.open.broker.topics.get('commands').partitions[0]!, batch }])
}
const last = (client: RawMqttClient): Promise<unknown> =>
  client.waitFor(packet => packet.cmd === 'publish' && packet.payload.toString() === 'last')
const got = (client: RawMqttClient): string[] =>
  client.packets.flatMap(packet => (packet.cmd === 'publish' ? [`${packet.topic}=${packet.payload}`] : []))

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('deliver rules', () => {
  it('fill in headers; a record without value is an empty publish', async () => {
    const client = await start('d/{header.site}/{header.mqtt.client}/{key}')
    append(batchOf({ headers: { site: 'north', 'mqtt.client': 'c1' }, value: null }, { value: 'last' }))
    await last(client)
    expect(got(client)).toEqual(['d/north/c1/k=', 'd///k=last'])
  })

  it('keep their positions, however long nothing comes', async () => {
    const hourly = { 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': 10 }
    const client = await start('{key}', { settings: hourly })
    append(batchOf({ value: 'last' }))
    await last(client)
    const { groups } = server.open
    const positions = (groupId: string): number[] => [...groups.committedOffsets(groupId)].map(({ offset }) => offset)
    const place = { topic: 'commands', partition: 0, offset: 1, leaderEpoch: -1, metadata: null }
    await groups.commit({ groupId: 'other', memberId: '', groupInstanceId: null, generation: -1, offsets: [place] })
    await vi.waitFor(() => expect(positions('brooklet.deliver.commands')).toEqual([1]))
    server.log.logAge += 2 * 3600
    await vi.waitFor(() => expect(positions('other')).toEqual([]))
    expect(positions('brooklet.deliver.commands')).toEqual([1])
  })

  it('skip what gives no MQTT topic, counted, with one line for a batch', async () => {
    const client = await start('{key}')
    const bad = ['', 'a/#', 'a\0b', '$SYS/x/new/clients', 'l'.repeat(70_000), Buffer.from([0xff, 0xfe]), null]
    append(batchOf(...bad.map(key => ({ key }))))
    append(batchOf({ key: 'fine', value: 'last' }))
    await last(client)
    expect(got(client)).toEqual(['fine=last'])
    expect(server.metrics.count('mqttDropped', 'deliver topic')).toBe(bad.length)
    expect(server.lines.filter(({ event }) => event.includes('no MQTT topic'))).toHaveLength(1)
  })

  it('skip a batch that cannot be read, and no other; none comes twice', async () => {
    const client = await start('{key}')
    const damaged = batchOf({ value: 'lost' })
    damaged.fill(0xff, 61)
    let open = (): void => {}
    server.log.readGate = new Promise(resolve => {
      open = resolve
    })
    append(batchOf({ value: '1' }))
    append(batchOf({ value: '2' }))
    append(damaged)
    append(batchOf({ value: '3' }))
    append(batchOf({ value: 'last' }))
    open()
    await last(client)
    expect(got(client)).toEqual(['k=1', 'k=2', 'k=3', 'k=last'])
    expect(server.metrics.count('mqttDropped', 'deliver batch')).toBe(1)
    expect(server.lines.filter(({ event }) => event.includes('cannot be read'))).toMatchObject([
      { fields: { offset: 2 } },
    ])
  })

  it('properties that MQTT cannot carry do not cost the subscriber its connection', async () => {
    const client = await start('{key}')
    const long = 'x'.repeat(70_000)
    const headers = { 'mqtt.content.type': long, [`mqtt.user.${long}`]: 'v', 'mqtt.user.__proto__': 'p' }
    append(batchOf({ headers, value: 'last' }))
    await last(client)
    expect(client.closed).toBe(false)
  })

  it('end with their topic, and begin again with it', async () => {
    const client = await start('{key}')
    for (let round = 0; round < 20; round++) {
      append(batchOf({ value: `${round}` }))
      for (let turn = 0; turn < round % 5; turn++) await new Promise(resolve => setImmediate(resolve))
      server.open.broker.topics.delete('commands')
      await new Promise(resolve => setImmediate(resolve))
      server.open.broker.topics.ensure('commands')
    }
    append(batchOf({ value: 'last' }))
    await last(client)
  })
})
