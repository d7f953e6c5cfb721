import { afterEach, describe, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'

let server: MqttServer
const clients: RawMqttClient[] = []
const connect = async (options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId: 'dev', clean: false, ...options })
  clients.push(client)
  return client
}
const values = async (): Promise<string[]> => (await server.records('a')).map(({ value }) => value!.toString())

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('QoS 2 makes exactly one record', () => {
  it('when PUBLISH is repeated on the same connection', async () => {
    server = await MqttServer.start()
    const client = await connect()
    client.publish('a/x', '1', 2, 5)
    await client.waitCount('pubrec', 1)
    client.publish('a/x', '1', 2, 5, { dup: true })
    await client.waitCount('pubrec', 2)
    expect(await values()).toEqual(['1'])
    client.send({ cmd: 'pubrel', messageId: 5 })
    await client.waitCount('pubcomp', 1)
    client.publish('a/x', '2', 2, 5)
    await client.waitCount('pubrec', 3)
    expect(await values()).toEqual(['1', '2'])
  })

  it('when the repeat overtakes the sync', async () => {
    server = await MqttServer.start()
    const client = await connect()
    server.log.held = true
    client.publish('a/x', '1', 2, 5)
    client.publish('a/x', '1', 2, 5, { dup: true })
    client.send({ cmd: 'pingreq' })
    await client.waitCount('pingresp', 1)
    expect(client.packets.some(({ cmd }) => cmd === 'pubrec')).toBe(false)
    server.log.release()
    await client.waitCount('pubrec', 2)
    expect(await values()).toEqual(['1'])
  })

  it('when the broker starts again before PUBREL', async () => {
    server = await MqttServer.start()
    const before = await connect()
    before.publish('a/x', '1', 2, 5)
    await before.waitCount('pubrec', 1)
    before.destroy()
    const { log } = server
    await server.stop()
    server = await MqttServer.start({ log })
    const client = await connect()
    expect(client.packets[0]).toMatchObject({ cmd: 'connack', sessionPresent: true })
    client.publish('a/x', '1', 2, 5, { dup: true })
    await client.waitCount('pubrec', 1)
    expect(await values()).toEqual(['1'])
    client.send({ cmd: 'pubrel', messageId: 5 })
    await client.waitCount('pubcomp', 1)
    client.publish('a/x', '2', 2, 5)
    await client.waitCount('pubrec', 2)
    expect(await values()).toEqual(['1', '2'])
  })

  it('and a clean session begins without the ids of the one before', async () => {
    server = await MqttServer.start()
    const before = await connect()
    before.publish('a/x', '1', 2, 5)
    await before.waitCount('pubrec', 1)
    before.destroy()
    const client = await connect({ clean: true })
    client.publish('a/x', '2', 2, 5)
    await client.waitCount('pubrec', 1)
    expect(await values()).toEqual(['1', '2'])
  })

  it('PUBCOMP waits until the release is durable', async () => {
    server = await MqttServer.start()
    const client = await connect()
    client.publish('a/x', '1', 2, 5)
    await client.waitCount('pubrec', 1)
    server.log.held = true
    client.send({ cmd: 'pubrel', messageId: 5 })
    client.send({ cmd: 'pingreq' })
    await client.waitCount('pingresp', 1)
    expect(client.packets.some(({ cmd }) => cmd === 'pubcomp')).toBe(false)
    server.log.release()
    await client.waitCount('pubcomp', 1)
  })
})
