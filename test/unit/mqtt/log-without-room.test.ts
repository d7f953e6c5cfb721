import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

/** A device that does not keep up (`memoryFull`) makes publishers wait; a log without a free slot (`storageFull`) refuses. Both ways alike. */

let server: MqttServer
const clients: RawMqttClient[] = []
const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, ...options })
  clients.push(client)
  return client
}
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const start = async (options: MqttServerOptions): Promise<void> => {
  server = await MqttServer.start(options)
  const client = await connect('warm')
  client.publish('a/x', 'warm', 1, 1)
  await client.waitCount('puback', 1)
}
const values = async (): Promise<string[]> => (await server.records('a')).map(({ value }) => value!.toString())

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe.each([true, false])('hot path: %s', hotPath => {
  it.each([4, 5])('version %d: while the device stands still publishes wait, and all go on in order', async version => {
    await start({ hotPath })
    const client = await connect('p', { version })
    const lost = await connect('lost', { will: { topic: 'a/x', payload: Buffer.from('will'), qos: 1, retain: false } })
    server.log.held = true
    server.log.maxWaitingGroups = 5
    for (let id = 1; id <= 100; id++) client.publish('a/x', String(id), id % 10 === 0 ? 0 : 1, id)
    lost.destroy()
    await pause(60)
    expect(client.packets.filter(({ cmd }) => cmd === 'puback')).toEqual([])
    expect(client.closed).toBe(false)
    server.log.release()
    const acks = await client.waitCount('puback', 90)
    expect(acks.map(({ messageId }) => messageId)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1).filter(id => id % 10 !== 0),
    )
    while ((await values()).length < 102) await turns(1)
    const expected = Array.from({ length: 100 }, (_, index) => String(index + 1))
    expect((await values()).filter(value => value !== 'will')).toEqual(['warm', ...expected])
    expect(server.metrics.count('mqttDropped')).toBe(0)
  })

  it('while no slot is free, QoS 0 is dropped and counted, QoS 1 and 2 are not acknowledged, and all goes on', async () => {
    await start({ hotPath })
    const five = await connect('five', { version: 5 })
    server.log.full = true
    five.publish('a/x', '0', 0)
    five.publish('a/x', '1', 1, 1)
    five.publish('a/x', '2', 2, 2)
    await five.waitCount('pubrec', 1)
    expect(five.packets.slice(1)).toMatchObject([
      { cmd: 'puback', messageId: 1, reasonCode: 0x97 },
      { cmd: 'pubrec', messageId: 2, reasonCode: 0x97 },
    ])
    const four = await connect('four')
    four.publish('a/x', '3', 1, 1)
    await four.waitClosed()
    expect(four.packets.some(({ cmd }) => cmd === 'puback')).toBe(false)
    expect(server.metrics.count('mqttDropped', 'not stored')).toBe(1)
    expect(server.metrics.count('mqttRefused', 'storageFull')).toBe(4)
    expect(server.lines.filter(({ fields }) => fields['reason'] === 'not.stored')).toMatchObject([
      { fields: { clientId: 'four' } },
    ])
    server.log.full = false
    five.publish('a/x', '1', 1, 1)
    five.publish('a/x', '2', 2, 2)
    await five.waitCount('pubrec', 2)
    expect(await values()).toEqual(['warm', '1', '2'])
  })
})

describe('QoS 2 while the log has no room', () => {
  it.each(['memory', 'slot'])('(%s): PUBCOMP waits for the release, nothing ends', async what => {
    await start({})
    const client = await connect('p')
    client.publish('a/x', '1', 2, 1)
    await client.waitCount('pubrec', 1)
    if (what === 'slot') server.log.full = true
    else server.log.maxWaitingGroups = 0
    client.send({ cmd: 'pubrel', messageId: 1 })
    await pause(60)
    expect(client.packets.some(({ cmd }) => cmd === 'pubcomp')).toBe(false)
    server.log.full = false
    server.log.maxWaitingGroups = Number.POSITIVE_INFINITY
    await client.waitCount('pubcomp', 1)
  })

  it('a session that ends then leaves no packet id for the next, whose publish would be taken for a repeat', async () => {
    await start({})
    const before = await connect('p')
    before.publish('a/x', 'first', 2, 1)
    await before.waitCount('pubrec', 1)
    server.log.full = true
    before.destroy()
    await before.waitClosed()
    await turns(10)
    const connecting = connect('p')
    await pause(60)
    server.log.full = false
    const after = await connecting
    after.publish('a/x', 'second', 2, 1)
    await after.waitCount('pubrec', 1)
    expect(await values()).toEqual(['warm', 'first', 'second'])
  })

  it('a log that has failed ends the connection at PUBREL, and a subscriber to retained topics gets none', async () => {
    await start({})
    const client = await connect('p', { clean: false })
    client.publish('a/x', '1', 2, 1, { retain: true })
    await client.waitCount('pubrec', 1)
    server.log.held = true
    client.publish('a/y', '1', 1, 2, { retain: true })
    await turns(20)
    server.log.fail()
    await client.waitClosed()
    const again = await connect('p', { clean: false })
    again.send({ cmd: 'pubrel', messageId: 1 })
    await again.waitClosed()
    expect(again.packets.some(({ cmd }) => cmd === 'pubcomp')).toBe(false)
    const subscriber = await connect('s')
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] })
    await subscriber.waitCount('suback', 1)
    subscriber.send({ cmd: 'pingreq' })
    await subscriber.waitCount('pingresp', 1)
  })
})
