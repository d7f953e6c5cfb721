import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { payloads, type Stage } from '../stage.ts'
import { ofClients, type Statement } from './statement.ts'

const malformed = [0x81, 0x82]

/** A subscriber to `t/#` with these options, and a publisher. */
async function pair(stage: Stage, options = 2): Promise<{ subscriber: WireClient; publisher: WireClient }> {
  const subscriber = await stage.client('subscriber')
  await subscriber.subscribe('t/#', options)
  return { subscriber, publisher: await stage.client('publisher') }
}

/** Publishes with these properties arrive with them, at every QoS, live and retained. */
async function unaltered(stage: Stage, values: wire.Properties): Promise<void> {
  const { subscriber, publisher } = await pair(stage)
  for (const qos of [0, 1, 2]) {
    await publisher.publish('t/a', 'x', qos, { properties: values })
    expect((await subscriber.accept()).properties).toEqual(values)
  }
  await publisher.publish('t/kept', 'x', 1, { properties: values, retain: true })
  const late = await stage.client('late')
  await late.subscribe('t/#', 1)
  expect((await late.accept()).properties).toEqual(values)
}

async function overlapping(stage: Stage): Promise<void> {
  const { subscriber, publisher } = await pair(stage, 0)
  await subscriber.subscribe('t/+', 2, { subscriptionId: [7] })
  await subscriber.subscribe('t/a', 1, { subscriptionId: [268_435_455] })
  await publisher.publish('t/a', 'x', 2)
  const found = [await subscriber.accept()]
  found.push(...(await stage.untaken(subscriber)))
  expect(Math.max(...found.map(({ qos }) => qos!))).toBe(2)
  const ids = found.flatMap(({ properties }) => properties.subscriptionId ?? [])
  expect(ids.sort((a, b) => a - b)).toEqual([7, 268_435_455])
  // one copy with all identifiers, or a copy for each subscription
  expect([1, 3]).toContain(found.length)
}

async function receiveMaximumOfClient(stage: Stage): Promise<void> {
  const subscriber = await stage.client('subscriber', { properties: { receiveMaximum: 3 } })
  await subscriber.subscribe('t/#', 2)
  const publisher = await stage.client('publisher')
  for (let count = 1; count <= 6; count++) await publisher.publish(`t/${count}`, String(count), 1 + (count % 2))
  const first = [await subscriber.take('publish'), await subscriber.take('publish'), await subscriber.take('publish')]
  expect(await stage.untaken(subscriber)).toEqual([])
  const [one, two, three] = first
  // PUBREC frees nothing unless it refuses, PUBCOMP does
  for (const { qos, id } of [one!, two!, three!]) subscriber.send(wire.ack(qos === 1 ? 'puback' : 'pubrec', id!))
  const released = first.filter(({ qos }) => qos === 2)
  for (const { id } of released) await subscriber.take('pubrel', id)
  const later: string[] = []
  for (let count = released.length; count < 3; count++) later.push((await subscriber.take('publish')).payload!)
  expect(await stage.untaken(subscriber)).toEqual([])
  for (const { id } of released) subscriber.send(wire.ack('pubcomp', id!))
  for (let count = 0; count < released.length; count++) later.push((await subscriber.take('publish')).payload!)
  expect(payloads(first).concat(later).sort()).toEqual(['1', '2', '3', '4', '5', '6'])
}

/** MQTT 5, section 3.3. */
export const publish: readonly Statement[] = [
  {
    id: '3.3.1-1',
    says: 'what is sent again has the DUP flag',
    async test(stage) {
      const first = await stage.returning('a')
      await first.subscribe('t', 2)
      await first.publish('t', 'one', 1)
      await first.publish('t', 'two', 2)
      for (let count = 0; count < 2; count++) expect((await first.take('publish')).dup).toBe(false)
      await stage.lose(first, 'a')
      const second = await stage.returning('a')
      for (let count = 0; count < 2; count++) expect((await second.take('publish')).dup).toBe(true)
    },
  },
  {
    id: '3.3.1-2',
    says: 'QoS 0 publishes do not have the DUP flag',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage, 0)
      await publisher.publish('t/a', 'x', 1, { dup: true })
      expect(await subscriber.take('publish')).toMatchObject({ qos: 0, dup: false })
    },
  },
  {
    id: '3.3.1-3',
    says: 'the DUP flag of the publisher is not passed on',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage)
      for (const qos of [1, 2]) {
        await publisher.publish('t/a', 'x', qos, { dup: true })
        expect(await subscriber.accept()).toMatchObject({ qos, dup: false })
      }
    },
  },
  {
    id: '3.3.1-4',
    says: 'a publish does not have both QoS bits',
    test: stage => stage.refuses(wire.publish({ topic: 't', qos: 3, id: 1 }), malformed),
  },
  {
    id: '3.3.1-5',
    says: 'a retained publish takes the place of the one before, whatever their QoS',
    async test(stage) {
      const publisher = await stage.client('publisher')
      for (const qos of [2, 0, 1, 0]) await publisher.publish('t/a', `qos ${qos}`, qos, { retain: true })
      await publisher.publish('t/a', 'last', 1, { retain: true })
      const late = await stage.client('late')
      await late.subscribe('t/#', 2)
      expect(payloads(await stage.untaken(late))).toEqual(['last'])
    },
  },
  {
    id: '3.3.1-6',
    says: 'an empty retained publish is passed on and removes what was retained',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage)
      await publisher.publish('t/a', 'kept', 1, { retain: true })
      await publisher.publish('t/a', '', 1, { retain: true })
      expect([(await subscriber.accept()).payload, (await subscriber.accept()).payload]).toEqual(['kept', ''])
      const late = await stage.client('late')
      await late.subscribe('t/#', 2)
      expect(await stage.untaken(late)).toEqual([])
    },
  },
  {
    id: '3.3.1-7',
    says: 'an empty publish is not retained',
    async test(stage) {
      const publisher = await stage.client('publisher')
      for (const qos of [0, 1, 2]) await publisher.publish(`t/${qos}`, '', qos, { retain: true })
      const late = await stage.client('late')
      await late.subscribe('t/#', 2)
      expect(await stage.untaken(late)).toEqual([])
    },
  },
  {
    id: '3.3.1-8',
    says: 'a publish without the retain flag leaves what is retained as it is',
    async test(stage) {
      const publisher = await stage.client('publisher')
      await publisher.publish('t/a', 'kept', 1, { retain: true })
      await publisher.publish('t/a', 'passing', 1)
      await publisher.publish('t/a', '', 1)
      const late = await stage.client('late')
      await late.subscribe('t/#', 2)
      expect(payloads(await stage.untaken(late))).toEqual(['kept'])
    },
  },
  {
    id: '3.3.1-9',
    says: 'with retain handling 0 a subscription is sent what is retained, each time',
    async test(stage) {
      const client = await stage.client('a')
      await client.publish('t/a', 'kept', 1, { retain: true })
      for (let count = 0; count < 2; count++) {
        await client.subscribe('t/#', 1 | wire.retainHandling(0))
        expect(await client.accept()).toMatchObject({ payload: 'kept', retain: true })
      }
    },
  },
  {
    id: '3.3.1-10',
    says: 'with retain handling 1 only a new subscription is sent what is retained',
    async test(stage) {
      const client = await stage.client('a')
      await client.publish('t/a', 'kept', 1, { retain: true })
      await client.subscribe('t/#', 1 | wire.retainHandling(1))
      expect((await client.accept()).payload).toBe('kept')
      await client.subscribe('t/#', 1 | wire.retainHandling(1))
      expect(await stage.untaken(client)).toEqual([])
      await client.unsubscribe('t/#')
      await client.subscribe('t/#', 1 | wire.retainHandling(1))
      expect((await client.accept()).payload).toBe('kept')
    },
  },
  {
    id: '3.3.1-11',
    says: 'with retain handling 2 a subscription is not sent what is retained',
    async test(stage) {
      const client = await stage.client('a')
      await client.publish('t/a', 'kept', 1, { retain: true })
      await client.subscribe('t/#', 1 | wire.retainHandling(2))
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  {
    id: '3.3.1-12',
    says: 'without retain as published the retain flag is not passed on',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage, 1)
      await publisher.publish('t/a', 'x', 1, { retain: true })
      expect((await subscriber.accept()).retain).toBe(false)
    },
  },
  {
    id: '3.3.1-13',
    says: 'with retain as published the retain flag is passed on as it came',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage, 1 | wire.retainAsPublished)
      for (const retain of [true, false]) {
        await publisher.publish('t/a', 'x', 1, { retain })
        expect((await subscriber.accept()).retain).toBe(retain)
      }
    },
  },
  {
    id: '3.3.2-1',
    says: 'a publish begins with a topic name in UTF-8',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: Buffer.from([0xff, 0xfe]) }), [...malformed, 0x90])
      await stage.refuses(wire.packet('publish', 0), malformed)
      await stage.refuses(wire.packet('publish', 0, Buffer.from([0, 9, 0x61])), malformed)
    },
  },
  {
    id: '3.3.2-2',
    says: 'the topic name of a publish has no wildcards',
    async test(stage) {
      for (const topic of ['a/#', 'a/+', '#', 'a+b']) await stage.refuses(wire.publish({ topic }), [...malformed, 0x90])
    },
  },
  {
    id: '3.3.2-3',
    says: 'what a subscriber gets has a topic that its filter matches',
    async test(stage) {
      const subscriber = await stage.client('subscriber')
      await subscriber.subscribe('+/b', 1)
      const publisher = await stage.client('publisher')
      for (const topic of ['a', 'a/b', 'a/b/c', 'b', '/b', 'a/B', 'c/b']) await publisher.publish(topic, topic, 1)
      for (const topic of ['a/b', '/b', 'c/b'])
        expect(await subscriber.accept()).toMatchObject({ topic, payload: topic })
      expect(await stage.untaken(subscriber)).toEqual([])
    },
  },
  {
    id: '3.3.2-4',
    says: 'the payload format indicator is passed on',
    async test(stage) {
      await unaltered(stage, { payloadFormat: 1 })
    },
  },
  {
    id: '3.3.2-5',
    says: 'what expires before it is sent is not sent',
    async test(stage) {
      await (await stage.returning('a')).subscribe('t/#', 2)
      await stage.lose(await stage.returning('a'), 'a')
      const publisher = await stage.client('publisher')
      for (const qos of [1, 2]) await publisher.publish('t/gone', 'x', qos, { properties: { messageExpiry: 5 } })
      await publisher.publish('t/kept', 'retained', 1, { retain: true, properties: { messageExpiry: 5 } })
      await publisher.publish('t/stays', 'stays', 1, { properties: { messageExpiry: 500 } })
      await stage.skip(6)
      expect(payloads(await stage.untaken(await stage.returning('a')))).toEqual(['stays'])
      const late = await stage.client('late')
      await late.subscribe('t/#', 2)
      expect(await stage.untaken(late)).toEqual([])
    },
  },
  {
    id: '3.3.2-6',
    says: 'the expiry interval is passed on without the time that the publish has waited',
    async test(stage) {
      await (await stage.returning('a')).subscribe('t/#', 1)
      await stage.lose(await stage.returning('a'), 'a')
      const publisher = await stage.client('publisher')
      await publisher.publish('t/a', 'x', 1, { retain: true, properties: { messageExpiry: 100 } })
      await stage.skip(30)
      const late = await stage.client('late')
      await late.subscribe('t/#', 1)
      for (const client of [await stage.returning('a'), late]) {
        const { messageExpiry } = (await client.accept()).properties
        expect(messageExpiry).toBeLessThanOrEqual(70)
        expect(messageExpiry).toBeGreaterThan(50)
      }
    },
  },
  {
    id: '3.3.2-7',
    says: 'aliases end with the connection',
    async test(stage) {
      const first = await stage.returning('a')
      await first.publish('t/a', 'x', 1, { properties: { topicAlias: 1 } })
      await first.publish('', 'y', 1, { properties: { topicAlias: 1 } })
      await first.disconnect(0, { sessionExpiry: 60 })
      const second = await stage.returning('a')
      second.send(wire.publish({ topic: '', qos: 1, id: 1, properties: { topicAlias: 1 } }))
      await stage.ends(second, 0x82, 0x94)
    },
  },
  {
    id: '3.3.2-8',
    says: 'the alias 0 ends the connection with 0x94',
    test: stage => stage.refuses(wire.publish({ topic: 't', properties: { topicAlias: 0 } }), [0x94]),
  },
  {
    id: '3.3.2-9',
    says: 'an alias beyond the maximum of the broker ends the connection with 0x94',
    test: stage => stage.refuses(wire.publish({ topic: 't', properties: { topicAlias: 65_535 } }), [0x94]),
  },
  { id: '3.3.2-10', says: 'a client takes the aliases within its maximum', untestable: ofClients },
  {
    id: '3.3.2-11',
    says: 'the broker stays within the alias maximum of the client',
    async test(stage) {
      const client = await stage.client('a', { properties: { topicAliasMaximum: 1 } })
      await client.subscribe('t/#', 1)
      for (const topic of ['t/1', 't/2', 't/1', 't/2']) {
        await client.publish(topic, topic, 1)
        expect((await client.accept()).properties.topicAlias ?? 1).toBe(1)
      }
    },
  },
  {
    id: '3.3.2-12',
    says: 'the broker takes every alias up to its maximum',
    async test(stage) {
      const { subscriber, publisher } = await pair(stage)
      const most = publisher.connack!.properties.topicAliasMaximum!
      expect(most).toBeGreaterThan(0)
      for (let alias = 1; alias <= most; alias++)
        await publisher.publish(`t/${alias}`, '', 1, { properties: { topicAlias: alias } })
      for (let alias = 1; alias <= most; alias++)
        await publisher.publish('', String(alias), 1, { properties: { topicAlias: alias } })
      for (let alias = 1; alias <= most; alias++) await subscriber.accept()
      for (let alias = 1; alias <= most; alias++)
        expect(await subscriber.accept()).toMatchObject({ topic: `t/${alias}`, payload: String(alias) })
    },
  },
  {
    id: '3.3.2-13',
    says: 'the response topic is UTF-8',
    async test(stage) {
      const bad = Buffer.concat([wire.byte(0x08), wire.text(Buffer.from([0xff]))])
      await stage.refuses(wire.publish({ topic: 't', properties: bad }), malformed)
    },
  },
  {
    id: '3.3.2-14',
    says: 'the response topic has no wildcards',
    test: stage =>
      stage.refuses(wire.publish({ topic: 't', properties: { responseTopic: 'a/#' } }), [...malformed, 0x90]),
  },
  {
    id: '3.3.2-15',
    says: 'the response topic is passed on',
    async test(stage) {
      await unaltered(stage, { responseTopic: 'answers/für/mich' })
    },
  },
  {
    id: '3.3.2-16',
    says: 'the correlation data are passed on',
    async test(stage) {
      await unaltered(stage, { correlationData: Buffer.from([0, 255, 0xc3, 0x28, 0]) })
    },
  },
  {
    id: '3.3.2-17',
    says: 'user properties are passed on, also several of one name and empty ones',
    async test(stage) {
      await unaltered(stage, {
        user: [
          ['a', '1'],
          ['a', '1'],
          ['', ''],
          ['ä', 'ö'],
        ],
      })
    },
  },
  {
    id: '3.3.2-18',
    says: 'user properties keep their order',
    async test(stage) {
      await unaltered(stage, {
        user: [
          ['b', '1'],
          ['a', '2'],
          ['b', '3'],
          ['__proto__', '4'],
          ['a', '5'],
        ],
      })
    },
  },
  {
    id: '3.3.2-19',
    says: 'the content type is UTF-8',
    async test(stage) {
      const bad = Buffer.concat([wire.byte(0x03), wire.text(Buffer.from([0xc0, 0x80]))])
      await stage.refuses(wire.publish({ topic: 't', properties: bad }), malformed)
    },
  },
  {
    id: '3.3.2-20',
    says: 'the content type is passed on',
    async test(stage) {
      await unaltered(stage, { contentType: 'text/plain; charset=utf-8' })
    },
  },
  {
    id: '3.3.4-1',
    says: 'QoS 1 is answered with PUBACK, QoS 2 with PUBREC, QoS 0 not at all',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.publish({ topic: 't' }))
      client.send(wire.publish({ topic: 't', qos: 1, id: 1 }), wire.publish({ topic: 't', qos: 2, id: 2 }))
      await client.take('puback', 1)
      await client.take('pubrec', 2)
      expect(await stage.untaken(client)).toEqual([])
    },
  },
  { id: '3.3.4-2', says: 'overlapping subscriptions deliver with the highest of their QoS', test: overlapping },
  { id: '3.3.4-3', says: 'a publish carries the identifiers of the subscriptions that match', test: overlapping },
  { id: '3.3.4-4', says: 'a single copy carries the identifiers of all of them', test: overlapping },
  { id: '3.3.4-5', says: 'of several copies each carries the identifier of its own', test: overlapping },
  {
    id: '3.3.4-6',
    says: 'a publish of a client has no subscription identifier',
    test: stage => stage.refuses(wire.publish({ topic: 't', properties: { subscriptionId: [1] } }), malformed),
  },
  {
    id: '3.3.4-7',
    says: 'more publishes than the receive maximum of the broker end the connection with 0x93',
    settings: { 'mqtt.inflight.max': 5 },
    async test(stage) {
      const client = await stage.client('a')
      expect(client.connack!.properties.receiveMaximum).toBe(5)
      for (let id = 1; id <= 5; id++) client.send(wire.publish({ topic: 't', qos: 2, id }))
      for (let id = 1; id <= 5; id++) await client.take('pubrec', id)
      client.send(wire.publish({ topic: 't', qos: 2, id: 6 }))
      await stage.ends(client, 0x93)
    },
  },
  { id: '3.3.4-8', says: 'a client delays nothing but publishes for the receive maximum', untestable: ofClients },
  {
    id: '3.3.4-9',
    says: 'the broker does not exceed the receive maximum of the client',
    test: receiveMaximumOfClient,
  },
  {
    id: '3.3.4-10',
    says: 'the broker delays nothing but publishes for the receive maximum',
    async test(stage) {
      const client = await stage.client('a', { properties: { receiveMaximum: 1 } })
      await client.subscribe('t', 1)
      for (let count = 0; count < 3; count++) await client.publish('t', String(count), 1)
      await client.take('publish')
      await client.subscribe('other', 0)
      await client.unsubscribe('other')
      await client.publish('else', '', 2)
      expect(await client.ping()).toEqual([])
    },
  },
]
