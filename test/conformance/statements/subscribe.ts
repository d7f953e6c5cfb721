import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import { payloads, type Stage } from '../stage.ts'
import type { Statement } from './statement.ts'

const malformed = [0x81, 0x82]
const badText = Buffer.from([0x61, 0xff])
const denied = { 'mqtt.subscribe.deny': [{ mqtt: 'denied/#', reason: 0x87 }] }

async function smallSuback(stage: Stage): Promise<void> {
  const client = await stage.client('a', { properties: { maximumPacketSize: 16 } })
  expect((await client.subscribe('denied/a')).bytes.length).toBeLessThanOrEqual(16)
  expect((await client.subscribe('t')).bytes.length).toBeLessThanOrEqual(16)
}

async function smallUnsuback(stage: Stage): Promise<void> {
  const client = await stage.client('a', { properties: { maximumPacketSize: 16 } })
  expect((await client.unsubscribe('t')).bytes.length).toBeLessThanOrEqual(16)
}

/** MQTT 5, sections 3.8 to 3.12. */
export const subscribe: readonly Statement[] = [
  {
    id: '3.8.1-1',
    says: 'SUBSCRIBE has the flags 0010',
    async test(stage) {
      const body = [wire.int16(1), wire.properties(), wire.text('t'), wire.byte(0)]
      for (const flags of [0, 1, 3, 6, 10]) await stage.refuses(wire.packet('subscribe', flags, ...body), malformed)
    },
  },
  {
    id: '3.8.3-1',
    says: 'topic filters are UTF-8',
    test: stage => stage.refuses(wire.subscribe(1, [[badText, 0]]), [...malformed, 0x8f]),
  },
  {
    id: '3.8.3-2',
    says: 'SUBSCRIBE names at least one filter',
    test: stage => stage.refuses(wire.subscribe(1, []), malformed),
  },
  {
    id: '3.8.3-3',
    says: 'with No Local a client does not get what it published itself',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 1 | wire.noLocal)
      await client.publish('t', 'own', 1)
      await (await stage.client('b')).publish('t', 'of another', 1)
      expect((await client.accept()).payload).toBe('of another')
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.8.3-4',
    says: 'No Local on a shared subscription ends the connection with 0x82',
    test: stage => stage.refuses(wire.subscribe(1, [['$share/g/t', wire.noLocal]]), [0x82]),
  },
  {
    id: '3.8.3-5',
    says: 'reserved bits of the subscription options are 0, and QoS and retain handling below 3',
    async test(stage) {
      for (const options of [0x40, 0x80, 0x03, 0x30])
        await stage.refuses(wire.subscribe(1, [['t', options]]), malformed)
    },
  },
  {
    id: '3.8.4-1',
    says: 'SUBSCRIBE is answered with SUBACK',
    async test(stage) {
      expect((await (await stage.client('a')).subscribe('t', 1)).type).toBe('suback')
    },
  },
  {
    id: '3.8.4-2',
    says: 'SUBACK has the packet identifier of SUBSCRIBE',
    async test(stage) {
      const client = await stage.client('a')
      for (const id of [65_535, 1, 300]) {
        client.send(wire.subscribe(id, [['t', 0]]))
        expect(await client.next()).toMatchObject({ type: 'suback', id })
      }
    },
  },
  {
    id: '3.8.4-3',
    says: 'a filter subscribed to again takes the place of the subscription before',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t/#', 0, { subscriptionId: [1] })
      await client.subscribe('t/#', 2, { subscriptionId: [2] })
      await client.publish('t/a', 'x', 2)
      expect(await client.accept()).toMatchObject({ qos: 2, properties: { subscriptionId: [2] } })
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.8.4-4',
    says: 'replacing a subscription loses nothing, and sends what is retained again when asked to',
    async test(stage) {
      const client = await stage.client('a')
      const publisher = await stage.client('b')
      await publisher.publish('t', 'kept', 1, { retain: true })
      await client.subscribe('t', 1 | wire.retainHandling(2))
      for (let count = 0; count < 50; count++) {
        publisher.send(wire.publish({ topic: 't', qos: 1, id: count + 1, payload: String(count) }))
        client.send(wire.subscribe(count + 1, [['t', 1 | wire.retainHandling(count === 49 ? 0 : 2)]]))
      }
      for (let count = 0; count < 50; count++) await publisher.take('puback', count + 1)
      for (let count = 0; count < 50; count++) await client.take('suback', count + 1)
      const found = payloads(await stage.untaken(client))
      const numbers = found.filter(payload => payload !== 'kept')
      expect(numbers).toEqual(Array.from({ length: 50 }, (_, count) => String(count)))
      expect(found.length).toBe(51)
    },
  },
  {
    id: '3.8.4-5',
    says: 'several filters count as several subscriptions with one answer',
    async test(stage) {
      const client = await stage.client('a')
      client.send(
        wire.subscribe(1, [
          ['x', 0],
          ['y', 1],
          ['x', 2],
        ]),
      )
      expect((await client.take('suback', 1)).reasons).toEqual([0, 1, 2])
      await client.publish('x', '', 2)
      await client.publish('y', '', 2)
      expect(await client.accept()).toMatchObject({ topic: 'x', qos: 2 })
      expect(await client.accept()).toMatchObject({ topic: 'y', qos: 1 })
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.8.4-6',
    says: 'SUBACK has a reason code for each filter',
    settings: denied,
    async test(stage) {
      const client = await stage.client('a')
      const filters = Array.from({ length: 30 }, (_, count) => [`t/${count}`, 1] as const)
      client.send(wire.subscribe(1, [...filters, ['denied/x', 1], ['t', 0]]))
      expect((await client.take('suback', 1)).reasons).toEqual([...filters.map(() => 1), 0x87, 0])
    },
  },
  {
    id: '3.8.4-7',
    says: 'the reason code is the QoS granted, or the failure',
    settings: denied,
    async test(stage) {
      const client = await stage.client('a')
      for (const qos of [0, 1, 2]) expect((await client.subscribe(`t/${qos}`, qos)).reasons).toEqual([qos])
      expect((await client.subscribe('denied/t', 1)).reasons).toEqual([0x87])
      await client.publish('denied/t', '', 1)
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.8.4-8',
    says: 'a publish comes with the lower of its own QoS and the one granted',
    async test(stage) {
      const publisher = await stage.client('publisher')
      for (const granted of [0, 1, 2]) {
        const client = await stage.client(`granted ${granted}`)
        await client.subscribe('t', granted)
        for (const qos of [0, 1, 2]) {
          await publisher.publish('t', '', qos)
          expect((await client.accept()).qos).toBe(Math.min(qos, granted))
        }
      }
    },
  },
  { id: '3.9.2-1', says: 'a reason string does not make SUBACK too large', settings: denied, test: smallSuback },
  { id: '3.9.2-2', says: 'user properties do not make SUBACK too large', settings: denied, test: smallSuback },
  {
    id: '3.9.3-1',
    says: 'reason codes stand in the order of the filters',
    settings: denied,
    async test(stage) {
      const client = await stage.client('a')
      client.send(
        wire.subscribe(1, [
          ['denied/a', 0],
          ['a', 2],
          ['denied/b', 1],
          ['b', 0],
          ['c', 1],
        ]),
      )
      expect((await client.take('suback', 1)).reasons).toEqual([0x87, 2, 0x87, 0, 1])
    },
  },
  {
    id: '3.9.3-2',
    says: 'reason codes are those of SUBACK',
    settings: { ...denied, 'mqtt.subscriptions.max': 2 },
    async test(stage) {
      const client = await stage.client('a')
      const known = [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]
      for (const filter of ['a', 'denied/a', 'b', 'c', '$share/g/c', '$SYS/#'])
        for (const reason of (await client.subscribe(filter, 1)).reasons!) expect(known).toContain(reason)
    },
  },
  {
    id: '3.10.1-1',
    says: 'UNSUBSCRIBE has the flags 0010',
    async test(stage) {
      const body = [wire.int16(1), wire.properties(), wire.text('t')]
      for (const flags of [0, 1, 3, 6, 10]) await stage.refuses(wire.packet('unsubscribe', flags, ...body), malformed)
    },
  },
  {
    id: '3.10.3-1',
    says: 'topic filters of UNSUBSCRIBE are UTF-8',
    test: stage => stage.refuses(wire.unsubscribe(1, [badText]), [...malformed, 0x8f]),
  },
  {
    id: '3.10.3-2',
    says: 'UNSUBSCRIBE names at least one filter',
    test: stage => stage.refuses(wire.unsubscribe(1, []), malformed),
  },
  {
    id: '3.10.4-1',
    says: 'UNSUBSCRIBE ends the subscription with just this filter',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t/+', 1)
      for (const filter of ['t/#', 't/a', '#', 'T/+', 't/+/']) {
        expect((await client.unsubscribe(filter)).reasons).toEqual([0x11])
        await client.publish('t/a', filter, 1)
        expect((await client.accept()).payload).toBe(filter)
      }
      expect((await client.unsubscribe('t/+')).reasons).toEqual([0])
      await client.publish('t/a', '', 1)
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.10.4-2',
    says: 'after UNSUBSCRIBE nothing new is added for the client',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 1)
      await client.unsubscribe('t')
      const publisher = await stage.client('b')
      for (const qos of [0, 1, 2]) await publisher.publish('t', '', qos)
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.10.4-3',
    says: 'what was begun before UNSUBSCRIBE is brought to its end',
    async test(stage) {
      const client = await stage.client('a', { properties: { sessionExpiry: 60 } })
      await client.subscribe('t', 2)
      await client.publish('t', 'begun', 2)
      const { id } = await client.take('publish')
      await client.unsubscribe('t')
      client.send(wire.ack('pubrec', id!))
      await client.take('pubrel', id)
      client.send(wire.ack('pubcomp', id!))
      expect(await client.ping()).toEqual([])
      await client.subscribe('t', 1)
      await client.publish('t', 'again', 1)
      await client.take('publish')
      await client.unsubscribe('t')
      await stage.lose(client, 'a')
      const back = await stage.returning('a')
      expect(await back.accept()).toMatchObject({ payload: 'again', dup: true })
    },
  },
  {
    id: '3.10.4-4',
    says: 'UNSUBSCRIBE is answered with UNSUBACK',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t')
      expect((await client.unsubscribe('t')).type).toBe('unsuback')
    },
  },
  {
    id: '3.10.4-5',
    says: 'UNSUBACK has the packet identifier of UNSUBSCRIBE, also when there was nothing to end',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.unsubscribe(4711, ['none']))
      expect(await client.next()).toMatchObject({ type: 'unsuback', id: 4711 })
    },
  },
  {
    id: '3.10.4-6',
    says: 'several filters of UNSUBSCRIBE have one answer',
    async test(stage) {
      const client = await stage.client('a')
      client.send(
        wire.subscribe(1, [
          ['x', 0],
          ['y', 0],
        ]),
      )
      await client.take('suback', 1)
      client.send(wire.unsubscribe(2, ['x', 'none', 'y', 'x']))
      expect((await client.take('unsuback', 2)).reasons).toEqual([0, 0x11, 0, 0x11])
      expect(await client.ping()).toEqual([])
    },
  },
  { id: '3.11.2-1', says: 'a reason string does not make UNSUBACK too large', test: smallUnsuback },
  { id: '3.11.2-2', says: 'user properties do not make UNSUBACK too large', test: smallUnsuback },
  {
    id: '3.11.3-1',
    says: 'reason codes of UNSUBACK stand in the order of the filters',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('x')
      expect((await client.unsubscribe('none', 'x')).reasons).toEqual([0x11, 0])
    },
  },
  {
    id: '3.11.3-2',
    says: 'reason codes of UNSUBACK are 0, 0x11 or failures',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('x')
      expect((await client.unsubscribe('x')).reasons).toEqual([0])
      expect((await client.unsubscribe('x')).reasons).toEqual([0x11])
    },
  },
  {
    id: '3.12.4-1',
    says: 'PINGREQ is answered with PINGRESP',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.pingreq(), wire.pingreq())
      expect([(await client.next()).type, (await client.next()).type]).toEqual(['pingresp', 'pingresp'])
    },
  },
]
