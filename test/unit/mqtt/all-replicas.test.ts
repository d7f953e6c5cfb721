import { afterEach, describe, expect, it } from 'vitest'
import type { MemoryLog } from '../../support/memory-log.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'
import { settle } from '../../support/numbered-publishes.ts'

// min.insync.replicas=2 as devices see it: no acknowledgement before the central cluster has the record

const longMs = 3_600_000
const maxInflight = 10

let server: MqttServer
let through: number
const clients: RawMqttClient[] = []

const replica = () => server.open.broker.replica
const open = (hotPath: boolean, lagMaxMs: number, log?: MemoryLog): Promise<MqttServer> =>
  MqttServer.start({
    hotPath,
    ...(log !== undefined && { log }),
    settings: { 'replica.lag.time.max.ms': lagMaxMs, 'mqtt.inflight.max': maxInflight },
    upstream: { upstreamThrough: () => through, staysHere: () => undefined },
  })
const start = async (hotPath: boolean, lagMaxMs = longMs): Promise<void> => {
  through = 0
  server = await open(hotPath, lagMaxMs)
  const configs = new Map([['min.insync.replicas', '2']])
  server.open.broker.topics.create({ name: 'both', partitions: 1, configs })
}
const connect = async (version: number, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId: 'dev', version, ...options })
  clients.push(client)
  return client
}
/** Packet id and reason code of each PUBACK and PUBREC, in their order. */
const acks = (client: RawMqttClient): [number, number][] =>
  client.packets.flatMap(packet =>
    packet.cmd === 'puback' || packet.cmd === 'pubrec' ? [[packet.messageId!, packet.reasonCode ?? 0]] : [],
  )
const reached = (offset: number): void => {
  through = offset
  replica().advanced()
}
const stored = async (): Promise<string[]> => (await server.records('both')).map(({ value }) => String(value))

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe.each([
  { hotPath: true, version: 4 },
  { hotPath: true, version: 5 },
  { hotPath: false, version: 4 },
  { hotPath: false, version: 5 },
])('with hot path $hotPath and version $version', ({ hotPath, version }) => {
  it('acknowledgements wait for the central cluster, keep their order, and leave as it gets the records', async () => {
    await start(hotPath)
    replica().connected()
    const client = await connect(version)
    client.publish('here/x', '0', 1, 1)
    await client.waitCount('puback', 1)
    client.publish('both/x', '1', 1, 2)
    client.publish('here/x', '2', 1, 3)
    client.publish('both/x', '3', 2, 4)
    client.publish('both/x', '4', 0)
    client.publish('both/x', '5', 1, 5)
    client.publish('here/x', '6', 1, 6)
    await settle(client)
    expect([acks(client), await stored()]).toEqual([[[1, 0]], ['1', '3', '4', '5']])
    reached(1)
    await settle(client)
    expect(acks(client).map(([id]) => id)).toEqual([1, 2, 3])
    reached(4)
    await settle(client)
    expect(acks(client).map(([id]) => id)).toEqual([1, 2, 3, 4, 5, 6])
    expect(server.metrics.text()).toContain('brooklet_mqtt_acked_total 6')
    expect(replica().waiting).toBe(0)
  })

  it('a repeat with QoS 2 waits as its original does, also after a restart', async () => {
    await start(hotPath)
    replica().connected()
    const client = await connect(version, { clean: false, properties: { sessionExpiryInterval: 1_000 } })
    client.publish('both/x', '1', 2, 7)
    client.publish('both/x', '1', 2, 7, { dup: true })
    await settle(client)
    expect([acks(client), await stored()]).toEqual([[], ['1']])
    client.destroy()
    const { log } = server
    await server.stop()
    server = await open(hotPath, longMs, log)
    const again = await connect(version, { clean: false, properties: { sessionExpiryInterval: 1_000 } })
    again.publish('both/x', '1', 2, 7, { dup: true })
    await settle(again)
    expect([acks(again), await stored()]).toEqual([[], ['1']])
    reached(1)
    await settle(again)
    expect(acks(again)).toEqual([[7, 0]])
  })

  it('what waits is bounded by the receive maximum, and gone with its client', async () => {
    await start(hotPath)
    replica().connected()
    const client = await connect(version)
    const watcher = await connect(version, { clientId: 'watcher' })
    const settled = async (waiting: number): Promise<void> => {
      for (let round = 0; replica().waiting !== waiting && round < 100; round++) await settle(watcher)
      await settle(watcher)
      expect(replica().waiting).toBe(waiting)
    }
    for (let id = 1; id <= maxInflight + 3; id++) client.publish('both/x', String(id), 1, id)
    await settled(maxInflight)
    expect(await stored()).toHaveLength(maxInflight)
    reached(maxInflight)
    await client.waitCount('puback', maxInflight)
    await settled(3)
    client.destroy()
    await settled(0)
  })
})

describe.each([true, false])('while it is out of sync, with hot path %s', hotPath => {
  it('MQTT 5 is told so and nothing is stored; other topics go on', async () => {
    await start(hotPath)
    const client = await connect(5)
    client.publish('both/x', '1', 1, 1)
    client.publish('both/x', '2', 2, 2)
    client.publish('both/x', '3', 0)
    client.publish('here/x', '4', 1, 3)
    await client.waitCount('puback', 2)
    await settle(client)
    expect(acks(client)).toEqual([
      [1, 0x83],
      [2, 0x83],
      [3, 0],
    ])
    expect(await stored()).toEqual(['3'])
  })

  it('MQTT 3.1.1 stores it and answers once it is upstream', async () => {
    await start(hotPath, 20)
    const client = await connect(4)
    client.publish('both/x', '1', 1, 1)
    client.publish('here/x', '2', 1, 2)
    await settle(client)
    await new Promise(resolve => setTimeout(resolve, 60))
    await settle(client)
    expect([acks(client), await stored()]).toEqual([[], ['1']])
    through = 1
    replica().connected()
    await settle(client)
    expect(acks(client)).toEqual([
      [1, 0],
      [2, 0],
    ])
  })

  it('MQTT 5 is told what falls out of sync behind its append, but for QoS 2', async () => {
    await start(hotPath, 100)
    replica().connected()
    const client = await connect(5)
    client.publish('both/x', '1', 1, 1)
    client.publish('both/x', '2', 2, 2)
    await settle(client)
    replica().disconnected()
    await client.waitCount('puback', 1)
    await settle(client)
    expect([acks(client), await stored()]).toEqual([[[1, 0x83]], ['1', '2']])
    reached(2)
    await client.waitCount('pubrec', 1)
    expect(acks(client)).toEqual([
      [1, 0x83],
      [2, 0],
    ])
  })

  it('what is given up on its way up ends the connection of a client that has no word for it', async () => {
    await start(hotPath)
    const client = await connect(4)
    client.publish('both/x', '1', 1, 1)
    await settle(client)
    replica().gaveUp(server.open.broker.topics.get('both').partitions[0]!, 1)
    await client.waitClosed()
    expect(acks(client)).toEqual([])
  })
})
