import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import { payloads, type Stage } from '../stage.ts'
import { ofClients, type Statement } from './statement.ts'

const { byte, int16, packet, properties, text } = wire

/** A CONNECT put together by hand behind its properties. */
const connectWith = (flags: number, ...payload: readonly Buffer[]): Buffer =>
  packet('connect', 0, text('MQTT'), byte(5), byte(flags), int16(0), properties(), ...payload)

const will = { topic: 'wills/a', payload: 'lost' }

async function watcher(stage: Stage, options = 2): Promise<Awaited<ReturnType<Stage['client']>>> {
  const client = await stage.client('watcher')
  await client.subscribe('wills/#', options)
  return client
}

async function cleanStartDiscards(stage: Stage): Promise<void> {
  const first = await stage.returning('a')
  await first.subscribe('t', 1)
  await first.disconnect()
  const second = await stage.client('a', { clean: true, properties: { sessionExpiry: 3600 } })
  expect(second.connack!.sessionPresent).toBe(false)
  await second.publish('t', 'not for it', 1)
  expect(await stage.untaken(second)).toEqual([])
}

async function keepAlive(stage: Stage): Promise<void> {
  const seen = await watcher(stage)
  const client = await stage.client('a', { keepAlive: 10, will })
  expect(client.connack!.properties.serverKeepAlive).toBeUndefined()
  await stage.skip(14)
  await client.ping()
  await stage.skip(14)
  expect(await client.ping()).toEqual([])
  await stage.skip(15.5)
  await stage.ends(client, 0x8d)
  expect(await seen.accept()).toMatchObject({ payload: 'lost' })
}

async function willAfterDelay(stage: Stage): Promise<void> {
  const seen = await watcher(stage)
  const delayed = { ...will, properties: { willDelay: 5 } }
  const client = await stage.client('a', { clean: false, will: delayed, properties: { sessionExpiry: 60 } })
  await stage.lose(client, 'a')
  await stage.skip(4)
  expect(await stage.untaken(seen)).toEqual([])
  await stage.skip(2)
  expect(await seen.accept()).toMatchObject({ payload: 'lost' })
  // the session ends before the delay
  const short = await stage.client('b', { will: delayed, properties: { sessionExpiry: 2 } })
  await stage.lose(short, 'b')
  await stage.skip(3)
  expect(await seen.accept()).toMatchObject({ payload: 'lost' })
}

async function tooLargeForClient(stage: Stage): Promise<void> {
  const client = await stage.client('a', { properties: { maximumPacketSize: 40, receiveMaximum: 1 } })
  await client.subscribe('t', 1)
  const publisher = await stage.client('b')
  for (const payload of ['.'.repeat(40), '.'.repeat(4000), 'fits'])
    expect((await publisher.publish('t', payload, 1))!.reason).toBe(0)
  expect((await client.accept()).payload).toBe('fits')
  expect(await stage.untaken(client)).toEqual([])
}

async function aliasesWithin(stage: Stage): Promise<void> {
  const client = await stage.client('a', { properties: { topicAliasMaximum: 2 } })
  await client.subscribe('t/#', 0)
  const names = new Map<number, string>()
  for (const topic of ['t/1', 't/2', 't/3', 't/4', 't/1', 't/2', 't/3', 't/4']) {
    await client.publish(topic, topic)
    const found = await client.take('publish')
    const alias = found.properties.topicAlias
    if (alias !== undefined) {
      expect(alias).toBeGreaterThan(0)
      expect(alias).toBeLessThanOrEqual(2)
      if (found.topic !== '') names.set(alias, found.topic!)
    }
    expect(found.topic === '' ? names.get(alias!) : found.topic).toBe(found.payload)
  }
}

async function assignedId(stage: Stage): Promise<void> {
  const ids = new Set<string>()
  for (let count = 0; count < 3; count++) {
    const { connack } = await stage.client('')
    ids.add(connack!.properties.assignedClientId!)
  }
  expect(ids.size).toBe(3)
  expect([...ids].every(id => typeof id === 'string' && id.length > 0)).toBe(true)
  const [id] = ids
  const named = await stage.client('')
  await named.disconnect()
  // the client can come back under the name it was given
  const again = await stage.client(id!)
  expect(again.connack!.properties.assignedClientId).toBeUndefined()
}

/** MQTT 5, section 3.1. */
export const connect: readonly Statement[] = [
  {
    id: '3.1.0-1',
    says: 'the first packet is CONNECT',
    async test(stage) {
      for (const bytes of [
        wire.publish({ topic: 't' }),
        wire.pingreq(),
        wire.subscribe(1, [['t', 0]]),
        wire.disconnect(0),
      ]) {
        const client = await stage.open()
        client.send(bytes)
        expect(await client.closed()).toEqual([])
      }
    },
  },
  {
    id: '3.1.0-2',
    says: 'a second CONNECT ends the connection as a protocol error',
    test: stage => stage.refuses(wire.connect({ clientId: 'again' }), [0x82]),
  },
  {
    id: '3.1.2-1',
    says: 'the protocol name is MQTT, in this case',
    async test(stage) {
      for (const protocol of ['mqtt', 'MQTTX', '', 'HTTP']) await stage.refusesConnect({ protocol }, [0x84])
    },
  },
  {
    id: '3.1.2-2',
    says: 'a protocol version that is not served is refused with 0x84, or without a word',
    async test(stage) {
      for (const version of [0, 2, 6, 255]) {
        const body = [text('MQTT'), byte(version), byte(2), int16(0), properties(), text('a')]
        await stage.refusesConnect(packet('connect', 0, ...body), [0x84])
      }
    },
  },
  {
    id: '3.1.2-3',
    says: 'the reserved bit of the connect flags is 0',
    async test(stage) {
      await stage.refusesConnect({ flags: 0x03 })
      await stage.refusesConnect({ flags: 0x01 })
    },
  },
  { id: '3.1.2-4', says: 'Clean Start ends the session that was there and begins a new one', test: cleanStartDiscards },
  {
    id: '3.1.2-5',
    says: 'without Clean Start the session that is there goes on',
    async test(stage) {
      const first = await stage.returning('a')
      await first.subscribe('t', 1)
      await first.disconnect()
      const publisher = await stage.client('b')
      await publisher.publish('t', 'missed', 1)
      const second = await stage.returning('a')
      expect(second.connack!.sessionPresent).toBe(true)
      expect((await second.accept()).payload).toBe('missed')
    },
  },
  {
    id: '3.1.2-6',
    says: 'without Clean Start and without a session a new one begins',
    async test(stage) {
      const client = await stage.returning('never seen')
      expect(client.connack!.sessionPresent).toBe(false)
      await client.subscribe('t', 1)
      await client.publish('t', 'works', 1)
      expect((await client.accept()).payload).toBe('works')
    },
  },
  {
    id: '3.1.2-7',
    says: 'the will is kept with the session',
    async test(stage) {
      const seen = await watcher(stage)
      await stage.lose(await stage.client('a', { will }), 'a')
      expect(await seen.accept()).toMatchObject({ topic: 'wills/a', payload: 'lost' })
    },
  },
  { id: '3.1.2-8', says: 'the will is published when its delay is over or the session ends', test: willAfterDelay },
  {
    id: '3.1.2-9',
    says: 'with the will flag the payload has will properties, topic and payload',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x06, text('a')))
      await stage.refusesConnect(connectWith(0x06, text('a'), properties(), text('wills/a')))
      const seen = await watcher(stage)
      await stage.lose(await stage.client('a', { will: { ...will, qos: 2 } }), 'a')
      expect((await seen.accept()).qos).toBe(2)
    },
  },
  {
    id: '3.1.2-10',
    says: 'the will is gone once it was published or the client said goodbye',
    async test(stage) {
      const seen = await watcher(stage)
      const first = await stage.client('a', { clean: false, will, properties: { sessionExpiry: 60 } })
      await first.disconnect()
      await stage.lose(await stage.returning('a'), 'a')
      expect(await stage.untaken(seen)).toEqual([])
      await stage.lose(await stage.client('a', { clean: false, will, properties: { sessionExpiry: 60 } }), 'a')
      expect((await seen.accept()).payload).toBe('lost')
      await stage.lose(await stage.returning('a'), 'a')
      expect(await stage.untaken(seen)).toEqual([])
    },
  },
  {
    id: '3.1.2-11',
    says: 'without a will its QoS is 0',
    test: async stage => void (await stage.refusesConnect({ flags: 0x0a })),
  },
  {
    id: '3.1.2-12',
    says: 'the QoS of a will is 0, 1 or 2',
    async test(stage) {
      await stage.refusesConnect({ will: { ...will, qos: 3 } }, [0x81, 0x82, 0x9b])
      const seen = await watcher(stage)
      for (const qos of [0, 1, 2]) {
        await stage.lose(await stage.client('a', { will: { ...will, qos } }), 'a')
        expect((await seen.accept()).qos).toBe(qos)
      }
    },
  },
  {
    id: '3.1.2-13',
    says: 'without a will its retain flag is 0',
    test: async stage => void (await stage.refusesConnect({ flags: 0x22 })),
  },
  {
    id: '3.1.2-14',
    says: 'a will without the retain flag is not retained',
    async test(stage) {
      const seen = await watcher(stage, wire.retainAsPublished)
      await stage.lose(await stage.client('a', { will }), 'a')
      expect((await seen.accept()).retain).toBe(false)
      const late = await stage.client('late')
      await late.subscribe('wills/#')
      expect(await stage.untaken(late)).toEqual([])
    },
  },
  {
    id: '3.1.2-15',
    says: 'a will with the retain flag is retained',
    async test(stage) {
      const seen = await watcher(stage, wire.retainAsPublished)
      await stage.lose(await stage.client('a', { will: { ...will, retain: true } }), 'a')
      expect((await seen.accept()).retain).toBe(true)
      const late = await stage.client('late')
      await late.subscribe('wills/#')
      expect(await late.accept()).toMatchObject({ payload: 'lost', retain: true })
    },
  },
  {
    id: '3.1.2-16',
    says: 'without the user name flag there is no user name',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x02, text('a'), text('user')))
    },
  },
  {
    id: '3.1.2-17',
    says: 'with the user name flag there is a user name',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x82, text('a')))
    },
  },
  {
    id: '3.1.2-18',
    says: 'without the password flag there is no password',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x82, text('a'), text('user'), text('password')))
    },
  },
  {
    id: '3.1.2-19',
    says: 'with the password flag there is a password',
    async test(stage) {
      await stage.refusesConnect(connectWith(0xc2, text('a'), text('user')))
    },
  },
  { id: '3.1.2-20', says: 'a client with a keep alive pings when it has nothing else to send', untestable: ofClients },
  { id: '3.1.2-21', says: 'a client takes the keep alive that the broker returns', untestable: ofClients },
  { id: '3.1.2-22', says: 'silence for one and a half keep alive intervals ends the connection', test: keepAlive },
  {
    id: '3.1.2-23',
    says: 'a session with an expiry interval outlives the connection',
    async test(stage) {
      const first = await stage.returning('a', {}, 10)
      await stage.lose(first, 'a')
      await stage.skip(9)
      expect((await stage.returning('a')).connack!.sessionPresent).toBe(true)
    },
  },
  { id: '3.1.2-24', says: 'the broker sends nothing larger than the client takes', test: tooLargeForClient },
  { id: '3.1.2-25', says: 'what is too large for the client counts as sent', test: tooLargeForClient },
  { id: '3.1.2-26', says: 'aliases to the client stay within its maximum', test: aliasesWithin },
  {
    id: '3.1.2-27',
    says: 'a client that names no alias maximum gets no aliases',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t')
      for (let count = 0; count < 3; count++) {
        await client.publish('t', 'x')
        const found = await client.take('publish')
        expect([found.topic, found.properties]).toEqual(['t', {}])
      }
    },
  },
  {
    id: '3.1.2-28',
    says: 'a client that does not ask for response information gets none',
    async test(stage) {
      for (const values of [{}, { requestResponse: 0 }]) {
        const { connack } = await stage.client('a', { properties: values })
        expect(connack!.properties.responseInformation).toBeUndefined()
      }
    },
  },
  {
    id: '3.1.2-29',
    says: 'a client that wants no problem information gets reason strings and user properties in CONNACK, PUBLISH and DISCONNECT only',
    settings: { 'mqtt.subscriptions.max': 2, 'mqtt.auto.topics.max': 1 },
    async test(stage) {
      const client = await stage.client('a', { properties: { requestProblem: 0 } })
      for (const filter of ['a', 'b', 'c', 'd']) expect((await client.subscribe(filter, 1)).properties).toEqual({})
      expect((await client.unsubscribe('not there')).properties).toEqual({})
      expect((await client.publish('$none/x', '', 1))!.properties).toEqual({})
      client.send(wire.ack('pubrel', 999))
      expect((await client.take('pubcomp', 999)).properties).toEqual({})
    },
  },
  {
    id: '3.1.2-30',
    says: 'a client that authenticates sends only AUTH and DISCONNECT before CONNACK',
    async test(stage) {
      for (const bytes of [wire.pingreq(), wire.publish({ topic: 't' }), wire.subscribe(1, [['t', 0]])]) {
        const client = await stage.open()
        client.send(wire.connect({ clientId: 'a', properties: { authMethod: 'ask-once' } }))
        await client.take('auth')
        client.send(bytes)
        expect(await client.closed()).toEqual([])
      }
    },
  },
  {
    id: '3.1.3-1',
    says: 'the fields of the payload come in their order',
    async test(stage) {
      const seen = await watcher(stage)
      await stage.lose(await stage.client('a', { will, username: 'user', password: 'secret' }), 'a')
      expect(await seen.accept()).toMatchObject(will)
    },
  },
  {
    id: '3.1.3-2',
    says: 'the client identifier names the session',
    async test(stage) {
      await (await stage.returning('a')).subscribe('t', 1)
      expect((await stage.returning('b')).connack!.sessionPresent).toBe(false)
      expect((await stage.returning('a')).connack!.sessionPresent).toBe(true)
    },
  },
  {
    id: '3.1.3-3',
    says: 'the payload begins with the client identifier',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x02), [0x81, 0x82, 0x85])
    },
  },
  {
    id: '3.1.3-4',
    says: 'the client identifier is UTF-8',
    async test(stage) {
      await stage.refusesConnect({ clientId: Buffer.from([0xc3, 0x28]) }, [0x81, 0x82, 0x85])
    },
  },
  {
    id: '3.1.3-5',
    says: 'identifiers of 1 to 23 letters and digits are taken',
    async test(stage) {
      for (const id of ['0', 'Z', 'abcdefghijklmnopqrstuvw', '0123456789ABCDEFGHIJKLM', 'NOPQRSTUVWXYZxyz'])
        expect((await stage.client(id)).connack!.reason).toBe(0)
    },
  },
  { id: '3.1.3-6', says: 'a client without an identifier is given one of its own', test: assignedId },
  { id: '3.1.3-7', says: 'CONNACK tells the identifier that was given', test: assignedId },
  {
    id: '3.1.3-8',
    says: 'an identifier that is refused ends the connection, with 0x85 if anything',
    async test(stage) {
      await stage.refusesConnect({ clientId: 'x'.repeat(60_000) }, [0x85])
    },
  },
  {
    id: '3.1.3-9',
    says: 'a client that is back before the will delay is over has lost nothing',
    async test(stage) {
      const seen = await watcher(stage)
      const delayed = { ...will, properties: { willDelay: 10 } }
      await stage.lose(await stage.client('a', { clean: false, will: delayed, properties: { sessionExpiry: 60 } }), 'a')
      await stage.skip(5)
      await stage.returning('a')
      await stage.skip(20)
      expect(await stage.untaken(seen)).toEqual([])
    },
  },
  {
    id: '3.1.3-10',
    says: 'user properties of a will keep their order',
    async test(stage) {
      const seen = await watcher(stage)
      const user = [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
        ['a', '2'],
      ] as const
      await stage.lose(await stage.client('a', { will: { ...will, properties: { user: [...user] } } }), 'a')
      expect((await seen.accept()).properties.user).toEqual(user)
    },
  },
  {
    id: '3.1.3-11',
    says: 'the will topic is UTF-8',
    async test(stage) {
      const topic = Buffer.from([0x61, 0xff])
      await stage.refusesConnect(connectWith(0x06, text('a'), properties(), text(topic), text('x')), [0x81, 0x82, 0x90])
    },
  },
  {
    id: '3.1.3-12',
    says: 'the user name is UTF-8',
    async test(stage) {
      await stage.refusesConnect(connectWith(0x82, text('a'), text(Buffer.from([0xff]))), [0x81, 0x82, 0x86])
    },
  },
  {
    id: '3.1.4-1',
    says: 'a CONNECT in another form ends the connection',
    async test(stage) {
      const twice = Buffer.concat([wire.property('sessionExpiry', 1), wire.property('sessionExpiry', 1)])
      for (const values of [
        twice,
        wire.property('receiveMaximum', 0),
        wire.property('maximumPacketSize', 0),
        wire.property('requestProblem', 2),
        wire.property('requestResponse', 2),
        wire.property('authData', Buffer.from('x')),
        wire.property('topicAlias', 1),
        byte(0x7f),
        wire.property('sessionExpiry', 1).subarray(0, 3),
      ])
        await stage.refusesConnect({ properties: values })
      await stage.refusesConnect(packet('connect', 0, text('MQTT'), byte(5)))
      await stage.refusesConnect({ will: { ...will, properties: wire.property('payloadFormat', 2) } })
      await stage.refusesConnect({ will: { ...will, topic: 'wills/+' } }, [0x81, 0x82, 0x90])
    },
  },
  {
    id: '3.1.4-2',
    says: 'a CONNECT that fails a check ends the connection',
    async test(stage) {
      expect(await stage.refusesConnect({ properties: { authMethod: 'none such' } }, [0x8c, 0x87])).toHaveLength(1)
    },
  },
  {
    id: '3.1.4-3',
    says: 'a second connection takes the client identifier over from the first, which is told 0x8e',
    async test(stage) {
      const first = await stage.client('a')
      const second = await stage.client('a')
      await stage.ends(first, 0x8e)
      expect(await second.ping()).toEqual([])
    },
  },
  {
    id: '3.1.4-4',
    says: 'Clean Start is carried out, also while the session is in use',
    async test(stage) {
      await cleanStartDiscards(stage)
      const used = await stage.returning('used')
      await used.subscribe('t', 1)
      const next = await stage.client('used', { clean: true })
      expect(next.connack!.sessionPresent).toBe(false)
      await next.publish('t', '', 1)
      expect(await stage.untaken(next)).toEqual([])
    },
  },
  {
    id: '3.1.4-5',
    says: 'CONNECT is answered with CONNACK and 0',
    async test(stage) {
      const client = await stage.open()
      client.send(wire.connect({ clientId: 'a' }))
      expect(await client.next()).toMatchObject({ type: 'connack', reason: 0 })
    },
  },
  {
    id: '3.1.4-6',
    says: 'what follows a refused CONNECT is not looked at',
    async test(stage) {
      const seen = await stage.client('seen')
      await seen.subscribe('#', 1)
      const refused = wire.connect({ clientId: 'a', properties: { authMethod: 'none such' } })
      await stage.refusesConnect(Buffer.concat([refused, wire.publish({ topic: 't', payload: 'no' })]), [0x8c, 0x87])
      expect(payloads(await stage.untaken(seen))).toEqual([])
    },
  },
]
