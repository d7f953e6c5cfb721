import { afterEach, describe, expect, it } from 'vitest'
import type { EnhancedAuthentication } from '../../../src/mqtt/enhanced-authentication.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'

/** Asks for two answers: the second is the first, twice. */
const doubling: EnhancedAuthentication = {
  begin: method => {
    if (method !== 'doubling') return undefined
    let first: string | undefined
    return {
      step: async data => {
        if (first === undefined) {
          first = data?.toString() ?? ''
          return { kind: 'continue', data: Buffer.from('again') }
        }
        if (data?.toString() === first + first) return { kind: 'success', data: Buffer.from('welcome') }
        return { kind: 'failure', reason: 'the answer is wrong' }
      },
    }
  },
}

let server: MqttServer
const clients: RawMqttClient[] = []

const begin = async (method: string, data = 'ab'): Promise<RawMqttClient> => {
  const client = await RawMqttClient.open(server.port, 5)
  clients.push(client)
  const properties = { authenticationMethod: method, authenticationData: Buffer.from(data) }
  const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'c', clean: true, keepalive: 0 }
  client.send({ ...connect, properties } as never)
  return client
}
const auth = (client: RawMqttClient, reasonCode: number, data: string, method = 'doubling'): void =>
  client.send({
    cmd: 'auth',
    reasonCode,
    properties: { authenticationMethod: method, authenticationData: Buffer.from(data) },
  } as never)
const found = (client: RawMqttClient): unknown[] =>
  client.packets.map(packet => [packet.cmd, (packet as { reasonCode?: number }).reasonCode])

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

describe('enhanced authentication', () => {
  it('goes back and forth before CONNACK, and again on the same connection', async () => {
    server = await MqttServer.start({ authentication: doubling })
    const client = await begin('doubling')
    await client.waitCount('auth', 1)
    auth(client, 0x18, 'abab')
    expect(await client.waitFor(({ cmd }) => cmd === 'connack')).toMatchObject({
      reasonCode: 0,
      properties: { authenticationMethod: 'doubling', authenticationData: Buffer.from('welcome') },
    })
    auth(client, 0x19, 'x')
    await client.waitCount('auth', 2)
    auth(client, 0x18, 'xx')
    await client.waitCount('auth', 3)
    expect(found(client)).toEqual([
      ['auth', 0x18],
      ['connack', 0],
      ['auth', 0x18],
      ['auth', 0],
    ])
    client.publish('a/x', 'v', 1, 1)
    await client.waitCount('puback', 1)
  })

  it('that fails ends in CONNACK or DISCONNECT with 0x87', async () => {
    server = await MqttServer.start({ authentication: doubling })
    const client = await begin('doubling')
    await client.waitCount('auth', 1)
    auth(client, 0x18, 'wrong')
    await client.waitClosed()
    expect(found(client).at(-1)).toEqual(['connack', 0x87])
    const other = await begin('doubling')
    await other.waitCount('auth', 1)
    auth(other, 0x18, 'abab')
    await other.waitCount('connack', 1)
    auth(other, 0x19, 'x')
    await other.waitCount('auth', 2)
    auth(other, 0x18, 'wrong')
    await other.waitClosed()
    expect(found(other).at(-1)).toEqual(['disconnect', 0x87])
  })

  it('refuses unknown methods, another method, and other packets before it is done', async () => {
    server = await MqttServer.start({ authentication: doubling })
    const unknown = await begin('guessing')
    await unknown.waitClosed()
    expect(found(unknown)).toEqual([['connack', 0x8c]])
    const changed = await begin('doubling')
    await changed.waitCount('auth', 1)
    auth(changed, 0x18, 'abab', 'guessing')
    await changed.waitClosed()
    expect(found(changed)).toEqual([['auth', 0x18]])
    const early = await begin('doubling')
    await early.waitCount('auth', 1)
    early.publish('a/x', 'v', 0)
    await early.waitClosed()
    expect(server.open.broker.topics.find('a')).toBeUndefined()
  })
})
