import { expect } from 'vitest'
import { ack, connect } from '../../support/mqtt-wire.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { testCases } from '../cases.ts'
import { payloads, type Stage } from '../stage.ts'
import { withPahoSettings } from './settings.ts'

/** MQTT 3.1.1 client; Clean Session unless it is said to be kept. */
const client = (stage: Stage, clientId: string, options: object = {}): Promise<WireClient> =>
  stage.client(clientId, { version: 4, ...options })
const kept = (stage: Stage, clientId: string): Promise<WireClient> => client(stage, clientId, { clean: false })

/** For each case of the Paho suite for MQTT 3.1.1 a twin, written from the specification. */
testCases(
  'MQTT 3.1.1 twins',
  withPahoSettings([
    {
      name: 'connects, publishes at every QoS, is closed for a second CONNECT and for another protocol',
      async run(stage) {
        await (await client(stage, 'a')).disconnect()
        const a = await client(stage, 'a')
        expect(a.connack).toMatchObject({ sessionPresent: false, reason: 0 })
        await a.subscribe('plant/pump', 2)
        for (const qos of [0, 1, 2]) await a.publish('plant/pump', `qos ${qos}`, qos)
        const found = [await a.accept(), await a.accept(), await a.accept()]
        expect(found.map(({ payload, qos }) => [payload, qos])).toEqual([
          ['qos 0', 0],
          ['qos 1', 1],
          ['qos 2', 2],
        ])
        a.send(connect({ version: 4, clientId: 'a' }))
        await a.closed()
        await stage.refusesConnect({ version: 4, protocol: 'xy' }, [1], 4)
      },
    },
    {
      name: 'keeps retained publishes of every QoS until an empty one removes them',
      async run(stage) {
        const a = await client(stage, 'a')
        for (const qos of [0, 1, 2]) await a.publish(`kept/${qos}`, `qos ${qos}`, qos, { retain: true })
        await a.subscribe('+/+', 2)
        const found = [await a.accept(), await a.accept(), await a.accept()]
        expect(found.map(({ payload, qos, retain }) => [payload, qos, retain]).sort()).toEqual(
          [0, 1, 2].map(qos => [`qos ${qos}`, qos, true]),
        )
        for (const qos of [0, 1, 2]) await a.publish(`kept/${qos}`, '', qos, { retain: true })
        const late = await client(stage, 'late')
        await late.subscribe('+/+', 2)
        expect(await stage.untaken(late)).toEqual([])
      },
    },
    {
      name: 'takes an empty client identifier with Clean Session only',
      async run(stage) {
        const refused = await stage.open(4)
        refused.send(connect({ version: 4, clientId: '', clean: false }))
        expect(await refused.closed()).toMatchObject([{ type: 'connack', reason: 2, sessionPresent: false }])
        expect((await client(stage, '')).connack!.reason).toBe(0)
      },
    },
    {
      name: 'keeps what a client misses while it is away',
      async run(stage) {
        const first = await kept(stage, 'a')
        await first.subscribe('+/+', 2)
        await first.disconnect()
        const b = await client(stage, 'b')
        for (const qos of [0, 1, 2]) await b.publish('plant/pump', `qos ${qos}`, qos)
        await b.disconnect()
        const second = await kept(stage, 'a')
        expect(second.connack!.sessionPresent).toBe(true)
        const missed = payloads(await stage.untaken(second)).filter(payload => payload !== 'qos 0')
        expect(missed).toEqual(['qos 1', 'qos 2'])
      },
    },
    {
      name: 'delivers once with the highest QoS, or once for each, when subscriptions overlap',
      async run(stage) {
        const a = await client(stage, 'a')
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
        const b = await client(stage, 'b')
        await b.subscribe('wills/a', 2)
        const a = await client(stage, 'a', { keepAlive: 5, will: { topic: 'wills/a', payload: 'silent' } })
        await stage.skip(8)
        await a.closed()
        expect((await b.accept()).payload).toBe('silent')
        expect(await stage.untaken(b)).toEqual([])
      },
    },
    {
      name: 'sends what was not acknowledged again when the client is back',
      async run(stage) {
        const first = await kept(stage, 'b')
        await first.subscribe('plant/#', 2)
        await first.publish('plant/pump', 'one', 1)
        await first.publish('plant/fan', 'two', 2)
        const open = [await first.take('publish'), await first.take('publish')]
        await stage.lose(first, 'b')
        const second = await kept(stage, 'b')
        expect(second.connack!.sessionPresent).toBe(true)
        for (const { id, qos, topic, payload } of open)
          expect(await second.accept()).toMatchObject({ id, qos, topic, payload, dup: true })
        expect(await stage.untaken(second)).toEqual([])
      },
    },
    {
      name: 'answers 0x80 to a subscription that the rules deny, and grants the others beside it',
      async run(stage) {
        const a = await client(stage, 'a')
        expect((await a.subscribe('test/nosubscribe', 2)).reasons).toEqual([0x80])
        expect((await a.subscribe('test/other', 2)).reasons).toEqual([2])
        await a.publish('test/nosubscribe', 'x', 1)
        expect(await stage.untaken(a)).toEqual([])
      },
    },
    {
      name: 'does not match topics that begin with $ with a leading wildcard',
      async run(stage) {
        const a = await client(stage, 'a')
        await a.subscribe('+/+', 2)
        await a.publish('$plant/pump', 'x', 0)
        await a.publish('$plant/pump', 'x', 1)
        expect(await stage.untaken(a)).toEqual([])
      },
    },
    {
      name: 'ends just the subscription that is named',
      async run(stage) {
        const b = await client(stage, 'b')
        for (const filter of ['x', 'x/y', 'z']) await b.subscribe(filter, 2)
        await b.unsubscribe('x')
        const a = await client(stage, 'a')
        for (const topic of ['x', 'x/y', 'z']) await a.publish(topic, topic, 1)
        const found = await stage.untaken(b)
        expect(payloads(found)).toEqual(['x/y', 'z'])
        for (const { id } of found) b.send(ack('puback', id!))
      },
    },
  ]),
)
