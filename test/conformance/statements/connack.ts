import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import type { Stage } from '../stage.ts'
import { ofClients, ofLesserBrokers, type Statement } from './statement.ts'

/** Reason codes of CONNACK (table 3-1). */
const connectReasons = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
  0x9c, 0x9d, 0x9f,
]

async function withoutMore(stage: Stage): Promise<void> {
  const client = await stage.open()
  const values = { maximumPacketSize: 12, authMethod: 'none such' }
  client.send(wire.connect({ clientId: 'a', properties: values }))
  for (const { bytes } of await client.closed()) expect(bytes.length).toBeLessThanOrEqual(12)
}

/** MQTT 5, section 3.2. */
export const connack: readonly Statement[] = [
  {
    id: '3.2.0-1',
    says: 'nothing comes before CONNACK',
    async test(stage) {
      const first = await stage.returning('a')
      await first.subscribe('t', 1)
      await first.disconnect()
      await (await stage.client('b')).publish('t', 'waits', 1)
      const second = await stage.open()
      second.send(wire.connect({ clientId: 'a', clean: false }))
      expect((await second.next()).type).toBe('connack')
      expect((await second.next()).payload).toBe('waits')
    },
  },
  {
    id: '3.2.0-2',
    says: 'a connection gets one CONNACK',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.connect({ clientId: 'a' }))
      expect((await client.closed()).filter(({ type }) => type === 'connack')).toEqual([])
    },
  },
  {
    id: '3.2.2-1',
    says: 'reserved bits of the acknowledge flags are 0',
    async test(stage) {
      await (await stage.returning('a')).disconnect(0, { sessionExpiry: 60 })
      const { connack } = await stage.returning('a')
      // behind the fixed header of two bytes
      expect(connack!.bytes[2]).toBe(1)
      expect((await stage.client('b')).connack!.bytes[2]).toBe(0)
    },
  },
  {
    id: '3.2.2-2',
    says: 'with Clean Start no session is present',
    async test(stage) {
      await (await stage.returning('a')).subscribe('t', 1)
      const { connack } = await stage.client('a', { clean: true })
      expect(connack).toMatchObject({ sessionPresent: false, reason: 0 })
    },
  },
  {
    id: '3.2.2-3',
    says: 'without Clean Start CONNACK tells whether there is a session',
    async test(stage) {
      expect((await stage.returning('a')).connack).toMatchObject({ sessionPresent: false, reason: 0 })
      expect((await stage.returning('a')).connack).toMatchObject({ sessionPresent: true, reason: 0 })
    },
  },
  { id: '3.2.2-4', says: 'a client without the session that is present closes', untestable: ofClients },
  { id: '3.2.2-5', says: 'a client whose session is not present forgets it', untestable: ofClients },
  {
    id: '3.2.2-6',
    says: 'a refusal says that no session is present, also when there is one',
    async test(stage) {
      await (await stage.returning('a')).disconnect(0, { sessionExpiry: 60 })
      const refused = await stage.refusesConnect(
        { clientId: 'a', clean: false, properties: { authMethod: 'none such' } },
        [0x8c, 0x87],
      )
      expect(refused).toMatchObject([{ sessionPresent: false }])
    },
  },
  {
    id: '3.2.2-7',
    says: 'a refusal is followed by the end of the connection',
    async test(stage) {
      expect(await stage.refusesConnect({ properties: { authMethod: 'none such' } }, [0x8c, 0x87])).toHaveLength(1)
    },
  },
  {
    id: '3.2.2-8',
    says: 'the reason code is one of CONNACK',
    async test(stage) {
      const packets: readonly wire.Connect[] = [
        { version: 6 },
        { flags: 3 },
        { clientId: 'x'.repeat(60_000) },
        { properties: { authMethod: 'none such' } },
        { will: { topic: 'a/#' } },
        { properties: wire.property('receiveMaximum', 0) },
      ]
      for (const one of packets) await stage.refusesConnect(one, connectReasons.slice(1))
    },
  },
  { id: '3.2.2-9', says: 'a broker without QoS 1 or 2 names its maximum', untestable: ofLesserBrokers },
  {
    id: '3.2.2-10',
    says: 'a broker without QoS 1 or 2 still takes subscriptions with them',
    untestable: ofLesserBrokers,
  },
  { id: '3.2.2-11', says: 'a client stays within the maximum QoS', untestable: ofClients },
  { id: '3.2.2-12', says: 'a will beyond the maximum QoS is refused', untestable: ofLesserBrokers },
  {
    id: '3.2.2-13',
    says: 'a retained will is refused by a broker without retained publishes',
    untestable: ofLesserBrokers,
  },
  { id: '3.2.2-14', says: 'a client sends nothing retained to a broker that cannot', untestable: ofClients },
  {
    id: '3.2.2-15',
    says: 'a packet larger than the maximum that CONNACK names ends the connection with 0x95',
    settings: { 'mqtt.max.packet.bytes': 2048 },
    async test(stage) {
      const client = await stage.client('a')
      expect(client.connack!.properties.maximumPacketSize).toBe(2048)
      expect((await client.publish('t', '.'.repeat(2040 - 3), 1))!.reason).toBe(0)
      client.send(wire.publish({ topic: 't', payload: '.'.repeat(2048), qos: 1, id: 9 }))
      await stage.ends(client, 0x95)
    },
  },
  {
    id: '3.2.2-16',
    says: 'the identifier that is assigned belongs to no other session',
    async test(stage) {
      const values = { sessionExpiry: 60 }
      const ids: string[] = []
      for (let count = 0; count < 4; count++) {
        const client = await stage.client('', { clean: false, properties: values })
        expect(client.connack!.sessionPresent).toBe(false)
        ids.push(client.connack!.properties.assignedClientId!)
      }
      expect(new Set(ids).size).toBe(4)
    },
  },
  {
    id: '3.2.2-17',
    says: 'an alias beyond the maximum that CONNACK names ends the connection with 0x94',
    async test(stage) {
      const client = await stage.client('a')
      const { topicAliasMaximum = 0 } = client.connack!.properties
      client.send(wire.publish({ topic: 't', properties: { topicAlias: topicAliasMaximum + 1 } }))
      await stage.ends(client, 0x94)
    },
  },
  { id: '3.2.2-18', says: 'a client sends no aliases to a broker that takes none', untestable: ofLesserBrokers },
  { id: '3.2.2-19', says: 'a reason string does not make CONNACK too large for the client', test: withoutMore },
  { id: '3.2.2-20', says: 'user properties do not make CONNACK too large for the client', test: withoutMore },
  {
    id: '3.2.2-21',
    says: 'the keep alive that the broker returns holds',
    settings: { 'mqtt.keep.alive.max': 10_000 },
    async test(stage) {
      const client = await stage.client('a', { keepAlive: 100 })
      expect(client.connack!.properties.serverKeepAlive).toBe(10)
      await stage.skip(16)
      await stage.ends(client, 0x8d)
    },
  },
  {
    id: '3.2.2-22',
    says: 'where the broker returns no keep alive, that of the client holds',
    settings: { 'mqtt.keep.alive.max': 30_000 },
    async test(stage) {
      const client = await stage.client('a', { keepAlive: 20 })
      expect(client.connack!.properties.serverKeepAlive).toBeUndefined()
      await stage.skip(29)
      expect(await client.ping()).toEqual([])
      await stage.skip(31)
      await stage.ends(client, 0x8d)
    },
  },
]
