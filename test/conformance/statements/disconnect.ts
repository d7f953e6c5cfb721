import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import type { Stage } from '../stage.ts'
import type { Statement } from './statement.ts'

const malformed = [0x81, 0x82]
/** Reason codes of DISCONNECT that a broker may send (table 3-10). */
const disconnectReasons = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]

/** Connections that the broker ends, with what makes it do so. */
const offences: readonly Buffer[] = [
  wire.publish({ topic: 'a/#' }),
  wire.publish({ topic: 't', properties: { topicAlias: 0 } }),
  wire.connect({ clientId: 'again' }),
  wire.packet('pingreq', 3),
  wire.subscribe(1, []),
  wire.packet('publish', 6, wire.text('t')),
]

async function smallDisconnect(stage: Stage): Promise<void> {
  const sizes = (received: readonly { readonly bytes: Buffer }[]): number[] => received.map(({ bytes }) => bytes.length)
  for (const bytes of offences) {
    const free = await stage.client('a')
    // a client that takes no more than its CONNACK
    const maximumPacketSize = free.connack!.bytes.length
    free.send(bytes)
    expect(Math.max(...sizes(await free.closed()))).toBeGreaterThan(maximumPacketSize)
    const client = await stage.client('a', { properties: { maximumPacketSize } })
    client.send(bytes)
    for (const size of sizes(await client.closed())) expect(size).toBeLessThanOrEqual(maximumPacketSize)
  }
}

/** AUTH carries what the method needs and nothing else. */
async function smallAuth(stage: Stage): Promise<void> {
  const client = await stage.open()
  client.send(wire.connect({ clientId: 'a', properties: { authMethod: 'ask-once', maximumPacketSize: 40 } }))
  const { properties } = await client.take('auth')
  expect(properties).toEqual({ authMethod: 'ask-once', authData: Buffer.from('password?') })
}

/** MQTT 5, sections 3.14 and 3.15. */
export const disconnect: readonly Statement[] = [
  {
    id: '3.14.0-1',
    says: 'the broker sends no DISCONNECT before it has accepted CONNECT',
    async test(stage) {
      // the helper takes nothing but CONNACK
      await stage.refusesConnect({ flags: 0x03 })
      await stage.refusesConnect({ properties: { authMethod: 'none such' } }, [0x8c, 0x87])
      for (const bytes of offences.filter(one => one[0] !== 0x10)) {
        const client = await stage.open()
        client.send(bytes)
        expect(await client.closed()).toEqual([])
      }
    },
  },
  {
    id: '3.14.1-1',
    says: 'reserved bits of DISCONNECT are 0; others are answered with 0x81',
    test: stage => stage.refuses(wire.packet('disconnect', 1, wire.byte(0), wire.properties()), [0x81]),
  },
  {
    id: '3.14.2-1',
    says: 'DISCONNECT has a reason code of its own',
    async test(stage) {
      for (const bytes of offences) await stage.refuses(bytes, disconnectReasons)
    },
  },
  {
    id: '3.14.2-2',
    says: 'the broker sends no session expiry interval in DISCONNECT',
    async test(stage) {
      const client = await stage.returning('a')
      await stage.returning('a')
      const last = (await client.closed()).at(-1)
      expect(last).toMatchObject({ type: 'disconnect', reason: 0x8e })
      expect(last!.properties.sessionExpiry).toBeUndefined()
    },
  },
  { id: '3.14.2-3', says: 'a reason string does not make DISCONNECT too large', test: smallDisconnect },
  { id: '3.14.2-4', says: 'user properties do not make DISCONNECT too large', test: smallDisconnect },
  {
    id: '3.14.4-1',
    says: 'nothing follows DISCONNECT',
    async test(stage) {
      for (const bytes of offences) {
        const client = await stage.client('a')
        await client.subscribe('t', 0)
        client.send(bytes, wire.pingreq(), wire.publish({ topic: 't' }))
        const types = (await client.closed()).map(({ type }) => type)
        expect(types.indexOf('disconnect')).toBe(types.length - 1)
      }
    },
  },
  {
    id: '3.14.4-2',
    says: 'DISCONNECT is followed by the end of the connection',
    async test(stage) {
      for (const bytes of offences) await stage.refuses(bytes, disconnectReasons)
    },
  },
  {
    id: '3.14.4-3',
    says: 'DISCONNECT with 0 takes the will away, with 0x04 it does not',
    async test(stage) {
      const seen = await stage.client('seen')
      await seen.subscribe('wills/#', 1)
      await (await stage.client('a', { will: { topic: 'wills/a' } })).disconnect(0)
      await stage.gone('a')
      const short = await stage.client('b', { will: { topic: 'wills/b' } })
      short.send(wire.disconnect())
      await short.closed()
      expect(await stage.untaken(seen)).toEqual([])
      await (await stage.client('c', { will: { topic: 'wills/c' } })).disconnect(4)
      expect((await seen.accept()).topic).toBe('wills/c')
    },
  },
  {
    id: '3.15.1-1',
    says: 'AUTH has the flags 0000',
    async test(stage) {
      const body = [wire.byte(0x19), wire.properties({ authMethod: 'x' })]
      for (const flags of [1, 2, 8]) await stage.refuses(wire.packet('auth', flags, ...body), malformed)
    },
  },
  {
    id: '3.15.2-1',
    says: 'AUTH has a reason code of its own',
    async test(stage) {
      const client = await stage.open()
      client.send(wire.connect({ clientId: 'a', properties: { authMethod: 'ask-once' } }))
      expect((await client.take('auth')).reason).toBe(0x18)
    },
  },
  { id: '3.15.2-2', says: 'a reason string does not make AUTH too large', test: smallAuth },
  { id: '3.15.2-3', says: 'user properties do not make AUTH too large', test: smallAuth },
]
