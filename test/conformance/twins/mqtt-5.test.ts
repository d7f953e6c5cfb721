import { expect } from 'vitest'
import {
  ack,
  connect,
  noLocal,
  type Properties,
  type Publish,
  publish,
  type Received,
  retainAsPublished,
  retainHandling,
} from '../../support/mqtt-wire.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { testCases } from '../cases.ts'
import { payloads, type Stage } from '../stage.ts'
import { withPahoSettings } from './settings.ts'

const will = { topic: 'wills/a', payload: 'lost' }
const user = [
  ['a', '2'],
  ['c', '3'],
] as const

/** What a subscriber of its own publishes gets of one at each QoS. */
async function ofEveryQos(stage: Stage, values: Properties): Promise<Received[]> {
  const a = await stage.client('a')
  await a.subscribe('plant/pump', 2)
  const found: Received[] = []
  for (const qos of [0, 1, 2]) {
    await a.publish('plant/pump', '', qos, { properties: values })
    found.push(await a.accept())
  }
  expect(found.map(({ qos }) => qos)).toEqual([0, 1, 2])
  return found
}

/** How long after its connection broke the will of a client came, in whole seconds of the broker. */
async function willAfterSeconds(stage: Stage, willDelay: number, sessionExpiry: number): Promise<number> {
  const seen = await stage.client('seen')
  await seen.subscribe('wills/#', 1)
  const lost = await stage.client('a', { will: { ...will, properties: { willDelay } }, properties: { sessionExpiry } })
  await stage.lose(lost, 'a')
  for (let seconds = 0; seconds <= 10; seconds++) {
    if (payloads(await stage.untaken(seen)).includes('lost')) return seconds
    await stage.skip(1)
  }
  return Number.POSITIVE_INFINITY
}

const retain = async (a: WireClient): Promise<void> => {
  for (const qos of [0, 1, 2]) await a.publish(`kept/${qos}`, `qos ${qos}`, qos, { retain: true })
}

/** For each case of the Paho suite for MQTT 5 a twin, written from the specification. */
testCases(
  'MQTT 5 twins',
  withPahoSettings([
    {
      name: 'connects, publishes at every QoS, is closed for a second CONNECT and for another protocol',
      async run(stage) {
        await (await stage.client('a')).disconnect()
        expect((await ofEveryQos(stage, {})).length).toBe(3)
        await stage.refuses(connect({ clientId: 'b' }), [0x82])
        await stage.refusesConnect({ protocol: 'xy' }, [0x84])
      },
    },
    {
      name: 'keeps retained publishes of every QoS with their user properties',
      async run(stage) {
        const a = await stage.client('a')
        for (const qos of [0, 1, 2])
          await a.publish(`kept/${qos}`, '.', qos, { retain: true, properties: { user: [...user] } })
        await a.subscribe('+/+', 2)
        const found = [await a.accept(), await a.accept(), await a.accept()]
        expect(found.map(({ qos }) => qos).sort()).toEqual([0, 1, 2])
        for (const one of found) expect(one).toMatchObject({ retain: true, properties: { user } })
        for (const qos of [0, 1, 2]) await a.publish(`kept/${qos}`, '', 1, { retain: true })
        const late = await stage.client('late')
        await late.subscribe('+/+', 2)
        expect(await stage.untaken(late)).toEqual([])
      },
    },
    {
      name: 'publishes the will with its user properties when a client falls silent',
      async run(stage) {
        const b = await stage.client('b')
        await b.subscribe('wills/a', 2)
        await stage.client('a', { keepAlive: 2, will: { ...will, properties: { willDelay: 0, user: [...user] } } })
        await stage.skip(4)
        expect(await b.accept()).toMatchObject({ payload: 'lost', properties: { user } })
        expect(await stage.untaken(b)).toEqual([])
      },
    },
    {
      name: 'takes an empty client identifier, with and without Clean Start',
      async run(stage) {
        for (const clean of [false, true]) await (await stage.client('', { clean })).disconnect()
      },
    },
    {
      name: 'keeps what a client misses while it is away',
      async run(stage) {
        const first = await stage.returning('a')
        await first.subscribe('+/+', 2)
        await first.disconnect()
        const b = await stage.client('b')
        for (const qos of [0, 1, 2]) await b.publish('plant/pump', `qos ${qos}`, qos)
        await b.disconnect()
        const second = await stage.client('a', { clean: false })
        expect(second.connack!.sessionPresent).toBe(true)
        const missed = payloads(await stage.untaken(second)).filter(payload => payload !== 'qos 0')
        expect(missed).toEqual(['qos 1', 'qos 2'])
      },
    },
    {
      name: 'delivers once with the highest QoS, or once for each, when subscriptions overlap',
      async run(stage) {
        const a = await stage.client('a')
        await a.subscribe('plant/#', 2)
        await a.subscribe('plant/+', 1)
        await a.publish('plant/pump', 'x', 2)
        const found = [await a.accept()]
        found.push(...(await stage.untaken(a)))
        expect([[2], [1, 2]]).toContainEqual(found.map(({ qos }) => qos).sort())
      },
    },
    {
      name: 'ends a connection that is silent for longer than its keep alive allows, and publishes its will',
      async run(stage) {
        const b = await stage.client('b')
        await b.subscribe('wills/a', 2)
        const a = await stage.client('a', { keepAlive: 5, will })
        await stage.skip(7)
        expect(await stage.untaken(b)).toEqual([])
        await stage.skip(1)
        await stage.ends(a, 0x8d)
        expect((await b.accept()).payload).toBe('lost')
        expect(await stage.untaken(b)).toEqual([])
      },
    },
    {
      name: 'sends what was not acknowledged again when the client is back',
      async run(stage) {
        const first = await stage.returning('b')
        await first.subscribe('plant/#', 2)
        await first.publish('plant/pump', '', 1)
        await first.publish('plant/fan', '', 2)
        const open = [await first.take('publish'), await first.take('publish')]
        await first.disconnect()
        const second = await stage.returning('b')
        for (const { id, qos, topic } of open)
          expect(await second.accept()).toMatchObject({ id, qos, topic, dup: true })
        expect(await stage.untaken(second)).toEqual([])
      },
    },
    {
      name: 'answers the reason code of the rule to a subscription that it denies',
      async run(stage) {
        const a = await stage.client('a')
        expect((await a.subscribe('test/nosubscribe', 2)).reasons).toEqual([0x80])
        expect((await a.subscribe('test/other', 2)).reasons).toEqual([2])
        await a.publish('test/nosubscribe', 'x', 1)
        expect(await stage.untaken(a)).toEqual([])
      },
    },
    {
      name: 'does not match topics that begin with $ with a leading wildcard',
      async run(stage) {
        const a = await stage.client('a')
        await a.subscribe('+/+', 2)
        await a.publish('$plant/pump', 'x', 0)
        await a.publish('$plant/pump', 'x', 1)
        expect(await stage.untaken(a)).toEqual([])
      },
    },
    {
      name: 'ends just the subscription that is named',
      async run(stage) {
        const b = await stage.client('b')
        for (const filter of ['x', 'x/y', 'z']) await b.subscribe(filter, 2)
        await b.unsubscribe('x')
        const a = await stage.client('a')
        for (const topic of ['x', 'x/y', 'z']) await a.publish(topic, topic, 1)
        expect(payloads(await stage.untaken(b))).toEqual(['x/y', 'z'])
      },
    },
    {
      name: 'ends a session at its expiry interval, which DISCONNECT may change',
      async run(stage) {
        const present = async (sessionExpiry: number, atEnd?: number): Promise<boolean> => {
          const a = await stage.client('a', { clean: false, properties: { sessionExpiry } })
          await a.disconnect(0, atEnd === undefined ? {} : { sessionExpiry: atEnd })
          await stage.gone('a')
          return a.connack!.sessionPresent!
        }
        expect(await present(0)).toBe(false)
        expect(await present(5)).toBe(false)
        await stage.skip(3)
        expect(await present(5)).toBe(true)
        await stage.skip(6)
        expect(await present(1, 5)).toBe(false)
        await stage.skip(3)
        expect(await present(1, 0)).toBe(true)
        expect(await present(1)).toBe(false)
      },
    },
    {
      name: 'passes user properties on at every QoS',
      async run(stage) {
        for (const { properties } of await ofEveryQos(stage, { user: [...user] })) expect(properties.user).toEqual(user)
      },
    },
    {
      name: 'passes payload format and content type on at every QoS',
      async run(stage) {
        const values = { payloadFormat: 1, contentType: 'text/plain' }
        for (const { properties } of await ofEveryQos(stage, values)) expect(properties).toEqual(values)
      },
    },
    {
      name: 'does not deliver what has expired, and tells how long the rest is good for',
      async run(stage) {
        const first = await stage.returning('b')
        await first.subscribe('plant/pump', 2)
        await first.disconnect(0, { sessionExpiry: 999_999_999 })
        const a = await stage.client('a')
        for (const messageExpiry of [1, 6])
          for (const qos of [1, 2])
            await a.publish('plant/pump', `${messageExpiry} s, qos ${qos}`, qos, { properties: { messageExpiry } })
        await stage.skip(3)
        const second = await stage.client('b', { clean: false })
        const found = await stage.untaken(second)
        expect(payloads(found)).toEqual(['6 s, qos 1', '6 s, qos 2'])
        for (const { properties } of found) expect(properties.messageExpiry).toBeLessThanOrEqual(3)
      },
    },
    {
      name: 'follows No Local, Retain As Published and all Retain Handlings',
      async run(stage) {
        const a = await stage.client('a')
        const b = await stage.client('b')
        for (const one of [a, b]) await one.subscribe('plant/pump', 2 | noLocal)
        await a.publish('plant/pump', 'not for a', 1)
        expect((await b.accept()).payload).toBe('not for a')
        expect(await stage.untaken(a)).toEqual([])
        const as = await stage.client('as published')
        await as.subscribe('plant/fan', 2 | retainAsPublished)
        for (const isRetained of [false, true]) {
          await a.publish('plant/fan', 'x', 1, { retain: isRetained })
          expect((await as.accept()).retain).toBe(isRetained)
        }
        await retain(a)
        for (const [handling, first, again] of [
          [0, 3, 3],
          [1, 3, 0],
          [2, 0, 0],
        ] as const) {
          const client = await stage.client(`handling ${handling}`)
          for (const count of [first, again]) {
            await client.subscribe('kept/+', 2 | retainHandling(handling))
            const found = await stage.untaken(client)
            expect(found.map(({ qos }) => qos).sort()).toEqual([0, 1, 2].slice(0, count))
          }
        }
      },
    },
    {
      name: 'tells the client identifier that it has assigned',
      async run(stage) {
        expect((await stage.client('')).connack!.properties.assignedClientId).toMatch(/./)
      },
    },
    {
      name: 'sends the identifiers of all subscriptions that match',
      async run(stage) {
        const a = await stage.client('a')
        await a.subscribe('plant', 2, { subscriptionId: [456_789] })
        const b = await stage.client('b')
        await b.subscribe('plant', 2, { subscriptionId: [2] })
        await b.subscribe('plant/#', 2, { subscriptionId: [3] })
        await b.publish('plant', 'x', 1)
        expect((await a.accept()).properties.subscriptionId).toEqual([456_789])
        expect((await b.accept()).properties.subscriptionId!.sort()).toEqual([2, 3])
        expect(await stage.untaken(b)).toEqual([])
      },
    },
    {
      name: 'carries request and response between two clients',
      async run(stage) {
        const a = await stage.client('a')
        const b = await stage.client('b')
        for (const one of [a, b]) await one.subscribe('calls', 2 | noLocal)
        const values = { responseTopic: 'calls', correlationData: Buffer.from('334') }
        await a.publish('calls', 'request', 1, { properties: values })
        const request = await b.accept()
        expect(request).toMatchObject({ payload: 'request', properties: values })
        await b.publish(request.properties.responseTopic!, 'response', 1, { properties: request.properties })
        expect(await a.accept()).toMatchObject({ payload: 'response', properties: values })
        for (const one of [a, b]) expect(await stage.untaken(one)).toEqual([])
      },
    },
    {
      name: 'takes aliases from clients, for one connection, and none that is 0',
      async run(stage) {
        const aliased = (more: Partial<Publish>): Buffer => publish({ topic: '', qos: 1, id: 77, ...more })
        await stage.refuses(aliased({ topic: 'plant/pump', properties: { topicAlias: 0 } }), [0x94])
        const first = await stage.returning('a')
        expect(first.connack!.properties.topicAliasMaximum).toBeGreaterThan(0)
        await first.subscribe('plant/pump', 2)
        for (const topic of ['plant/pump', '']) {
          await first.publish(topic, 'x', 1, { properties: { topicAlias: 1 } })
          expect((await first.accept()).topic).toBe('plant/pump')
        }
        await first.disconnect()
        const second = await stage.returning('a')
        await second.publish('plant/pump', 'y', 1)
        expect((await second.accept()).payload).toBe('y')
        second.send(aliased({ properties: { topicAlias: 1 } }))
        await stage.ends(second, 0x82, 0x94)
      },
    },
    {
      name: 'uses an alias for a topic that it sends again, when the client has room for one',
      async run(stage) {
        const a = await stage.client('a', { properties: { topicAliasMaximum: 1 } })
        await a.subscribe('plant/pump', 2)
        const seen: (readonly [string, number | undefined])[] = []
        for (const qos of [0, 1, 2]) {
          await a.publish('plant/pump', 'x', qos)
          const { topic, properties } = await a.accept()
          seen.push([topic!, properties.topicAlias])
        }
        expect(seen).toEqual([
          ['plant/pump', 1],
          ['', 1],
          ['', 1],
        ])
        for (const values of [{}, { topicAliasMaximum: 0 }]) {
          const b = await stage.client('b', { properties: values })
          await b.subscribe('plant/pump', 2)
          for (const qos of [0, 1, 2]) {
            await b.publish('plant/pump', 'x', qos)
            expect(await b.accept()).toMatchObject({ topic: 'plant/pump', properties: {} })
          }
        }
      },
    },
    {
      name: 'keeps to the maximum packet size of the client and to its own',
      async run(stage) {
        const a = await stage.client('a', { properties: { maximumPacketSize: 64 } })
        await a.subscribe('plant/pump', 2)
        await a.publish('plant/pump', '.'.repeat(32), 0)
        expect((await a.accept()).payload!.length).toBe(32)
        await a.publish('plant/pump', '.'.repeat(64), 1)
        expect(await stage.untaken(a)).toEqual([])
        const most = a.connack!.properties.maximumPacketSize!
        await stage.refuses(publish({ topic: 'plant/pump', payload: '.'.repeat(most) }), [0x95])
      },
    },
    {
      name: 'tells clients that ask for more which keep alive they have',
      async run(stage) {
        expect((await stage.client('a', { keepAlive: 120 })).connack!.properties.serverKeepAlive).toBe(60)
        expect((await stage.client('b', { keepAlive: 60 })).connack!.properties.serverKeepAlive).toBeUndefined()
      },
    },
    {
      name: 'sends no more than the receive maximum of the client without an acknowledgement',
      async run(stage) {
        const a = await stage.client('a', { properties: { receiveMaximum: 2 } })
        await a.subscribe('plant/pump', 2)
        for (const payload of ['1', '2', '3']) await a.publish('plant/pump', payload, 1)
        const [one, two] = [await a.take('publish'), await a.take('publish')]
        expect(await stage.untaken(a)).toEqual([])
        a.send(ack('puback', one.id!))
        const three = await a.take('publish')
        expect([one, two, three].map(({ payload }) => payload)).toEqual(['1', '2', '3'])
        a.send(ack('puback', two.id!), ack('puback', three.id!))
        expect(await a.ping()).toEqual([])
      },
    },
    {
      name: 'ends the connection of a client that exceeds its receive maximum',
      async run(stage) {
        const a = await stage.client('a')
        const { receiveMaximum = 65_535 } = a.connack!.properties
        for (let id = 1; id <= receiveMaximum + 1; id++)
          a.send(publish({ topic: 'plant/pump', qos: 2, id: id % 65_535 }))
        await stage.ends(a, 0x93)
      },
    },
    {
      name: 'publishes a delayed will after its delay or at the end of the session, whichever comes first',
      async run(stage) {
        expect(await willAfterSeconds(stage, 3, 5)).toBe(3)
        expect(await willAfterSeconds(stage, 5, 0)).toBe(0)
        expect(await willAfterSeconds(stage, 5, 2)).toBe(2)
      },
    },
    {
      name: 'gives each publish to one member of a shared subscription, and to every other subscriber',
      async run(stage) {
        const clients = [await stage.client('a'), await stage.client('b')]
        for (const client of clients) {
          await client.subscribe('$share/crew/plant/pump', 2)
          await client.subscribe('plant/fan', 2)
        }
        const publisher = await stage.client('publisher')
        await publisher.publish('plant/fan', 'to both', 0)
        for (const client of clients) expect((await client.accept()).payload).toBe('to both')
        for (let count = 0; count < 10; count++) await publisher.publish('plant/pump', String(count), 0)
        await publisher.ping()
        const found = []
        for (const client of clients) found.push(...payloads(await stage.untaken(client)))
        expect(found.map(Number).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      },
    },
  ]),
)
