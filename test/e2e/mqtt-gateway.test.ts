import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { RawMqttClient } from '../support/mqtt-client.ts'
import { readAll } from '../support/read-all.ts'

/** The MQTT front in the real process, with MQTT.js on one side and kafkajs on the other. */

let gateway: Gateway
const clients: MqttClient[] = []
const connect = async (url: string, options: IClientOptions = {}): Promise<MqttClient> => {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options })
  clients.push(client)
  return client
}
const kafka = (): Kafka =>
  new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })
const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise(resolve => setTimeout(resolve, 20))
}
/** A subscriber and what it got, `topic=payload`. */
const subscriber = async (filter: string, options: IClientOptions = {}): Promise<string[]> => {
  const got: string[] = []
  const client = await connect(gateway.mqttUrl, options)
  client.on('message', (topic, payload, { retain }) => got.push(`${topic}=${payload}${retain ? ' retained' : ''}`))
  await client.subscribeAsync(filter, { qos: 1 })
  return got
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true)
  await gateway.dispose()
})

describe('deliver rules', () => {
  it('a Kafka producer reaches subscribers; a restart goes on at the committed position', async () => {
    const rule = '[{topic: commands, mqtt: "devices/{header.site}/{key}/commands", qos: 1}]'
    gateway = await Gateway.start({ settings: { deliver: rule, 'num.partitions': '2' } })
    const send = async (value: string | null, key = 'd1', compression = CompressionTypes.None): Promise<void> => {
      const producer = kafka().producer()
      await producer.connect()
      const messages = [{ key, value, headers: { site: 'north' } }]
      await producer.send({ topic: 'commands', messages, compression })
      await producer.disconnect()
    }
    const admin = kafka().admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 'commands', numPartitions: 1 }] })
    const got = await subscriber('devices/#')
    await send('plain')
    await send('packed', 'd1', CompressionTypes.GZIP)
    await send('lost', 'a/#')
    await send(null)
    await until(() => got.length === 3)
    const topic = 'devices/north/d1/commands'
    expect(got).toEqual([`${topic}=plain`, `${topic}=packed`, `${topic}=`])
    const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text()
    expect(metrics).toContain('brooklet_mqtt_dropped_total{reason="deliver topic"} 1')
    expect((await admin.listTopics()).filter(name => !name.startsWith('__'))).toEqual(['commands'])
    await admin.disconnect()
    expect((await gateway.stop()).code).toBe(0)
    await gateway.restart()
    await send('meanwhile')
    const after = await subscriber('devices/#', { clientId: 'after' })
    await send('last')
    await until(() => after.includes(`${topic}=last`))
    expect(after.filter(line => !line.endsWith('meanwhile'))).toEqual([`${topic}=last`])
  })
})

describe('WebSocket', () => {
  it('MQTT.js publishes and subscribes over ws://, and the ready line names the address', async () => {
    gateway = await Gateway.start({ settings: { 'mqtt.listen': 'mqtt://127.0.0.1:0,ws://127.0.0.1:0' } })
    expect(Object.keys(gateway.addresses).slice(0, 3)).toEqual(['mqtt', 'kafka', 'http'])
    const got = await subscriber('a/#')
    for (const protocolVersion of [4, 5] as const) {
      const client = await connect(`ws://${gateway.addresses['ws']}/mqtt`, { protocolVersion })
      for (const qos of [0, 1, 2] as const) await client.publishAsync('a/x', `${protocolVersion}${qos}`, { qos })
      await client.publishAsync('a/x', Buffer.alloc(200_000, 'x'), { qos: 1 })
    }
    await until(() => got.length === 8)
    const values = (await readAll(gateway.addresses.kafka, 'a')).map(({ value }) => value!.toString().slice(0, 3))
    expect(values).toEqual(['40', '41', '42', 'xxx', '50', '51', '52', 'xxx'])
  })
})

describe('kill -9', () => {
  it('leaves retained publishes and wills that were published', async () => {
    gateway = await Gateway.start()
    const client = await connect(gateway.mqttUrl)
    await client.publishAsync('state/a', 'kept', { qos: 1, retain: true })
    await client.publishAsync('state/b', 'gone', { qos: 1, retain: true })
    await client.publishAsync('state/b', '', { qos: 1, retain: true })
    const watching = await subscriber('state/dead')
    const will = { topic: 'state/dead', payload: Buffer.from('lost'), qos: 1 as const, retain: true }
    const dead = await connect(gateway.mqttUrl, { will, clientId: 'dead' })
    dead.stream.destroy()
    await until(() => watching.length === 1)
    await gateway.kill()
    await gateway.restart()
    const got = await subscriber('state/#', { clientId: 'after' })
    await until(() => got.length >= 2)
    expect(got.sort()).toEqual(['state/a=kept retained', 'state/dead=lost retained'])
    const records = await readAll(gateway.addresses.kafka, 'state')
    const ofDead = records.filter(({ key }) => key!.toString() === 'state/dead')
    expect(ofDead.map(({ value, headers }) => [value!.toString(), headers!['mqtt.client']!.toString()])).toEqual([
      ['lost', 'dead'],
    ])
  })
})

describe('a replay', () => {
  it('gives the past of topics after kill -9, then what comes', async () => {
    gateway = await Gateway.start()
    const before = await connect(gateway.mqttUrl)
    for (const value of ['1', '2', '3']) await before.publishAsync('past/x', value, { qos: 1 })
    await gateway.kill()
    await gateway.restart()
    const got = await subscriber('$replay/1h/past/#')
    await until(() => got.length === 3)
    const after = await connect(gateway.mqttUrl)
    await after.publishAsync('past/x', '4', { qos: 1 })
    await until(() => got.length === 4)
    expect(got).toEqual(['past/x=1', 'past/x=2', 'past/x=3', 'past/x=4'])
  })
})

describe('topics that change while devices publish', () => {
  it('more partitions move keys, with a warning; a deleted topic is made again', async () => {
    gateway = await Gateway.start()
    const client = await RawMqttClient.connect(Number(gateway.addresses.mqtt.split(':').at(-1)), { clientId: 'p' })
    let sent = 0
    let publishing = true
    const load = (async () => {
      while (publishing) {
        for (let burst = 0; burst < 50; burst++) {
          sent++
          client.publish(`load/${sent % 20}`, String(sent), 1, (sent % 60_000) + 1)
        }
        await client.waitCount('puback', sent)
      }
    })()
    const admin = kafka().admin()
    await admin.connect()
    await until(() => sent > 500)
    await admin.createPartitions({ topicPartitions: [{ topic: 'load', count: 9 }] })
    const after = sent + 500
    await until(() => sent > after)
    publishing = false
    await load
    const records = await readAll(gateway.addresses.kafka, 'load')
    expect(records.map(({ value }) => Number(value)).sort((one, other) => one - other)).toEqual(
      Array.from({ length: sent }, (_, index) => index + 1),
    )
    expect(gateway.stderr).toMatch(/keys? .*move|moves? .*key/i)
    publishing = true
    const again = (async () => {
      for (let burst = 0; burst < 40; burst++) {
        for (let one = 0; one < 50; one++) {
          sent++
          client.publish(`load/${sent % 20}`, String(sent), 1, (sent % 60_000) + 1)
        }
        await client.waitCount('puback', sent)
      }
    })()
    await admin.deleteTopics({ topics: ['load'] })
    await again
    await admin.disconnect()
    expect(client.closed).toBe(false)
    client.publish('load/1', 'last', 1, 65_000)
    await client.waitCount('puback', sent + 1)
    expect((await readAll(gateway.addresses.kafka, 'load')).map(({ value }) => value!.toString())).toContain('last')
    client.destroy()
  })
})
