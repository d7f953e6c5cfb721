import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { payloads, type Stage } from '../stage.ts'
import { ofClients, type Statement } from './statement.ts'

const malformed = [0x81, 0x82]
const badAuth = [0x8c, 0x87]

/** A client with a session, subscribed to `t/#`, and one publish to it of which it has sent no acknowledgement. */
async function begun(stage: Stage, qos: number): Promise<{ client: WireClient; id: number }> {
  const client = await stage.returning('a')
  await client.subscribe('t/#', 2)
  await (await stage.client('publisher')).publish('t/a', 'begun', qos)
  const found = await client.take('publish')
  expect(found).toMatchObject({ qos, dup: false, payload: 'begun' })
  return { client, id: found.id! }
}

async function back(stage: Stage, client: WireClient): Promise<WireClient> {
  await stage.lose(client, 'a')
  return stage.returning('a')
}

/** Subscribers of one group, and what each of them gets of `count` publishes. */
async function sharing(stage: Stage, options: readonly number[], count: number): Promise<readonly string[][]> {
  const members: WireClient[] = []
  for (const [index, qos] of options.entries()) {
    const member = await stage.client(`member ${index}`)
    expect((await member.subscribe('$share/g/t/#', qos)).reasons).toEqual([qos])
    members.push(member)
  }
  const publisher = await stage.client('publisher')
  for (let one = 0; one < count; one++) await publisher.publish('t/a', String(one), 1)
  const found: string[][] = []
  for (const [index, member] of members.entries()) {
    const packets = (await stage.untaken(member)).filter(({ type }) => type === 'publish')
    for (const { qos } of packets) expect(qos).toBe(Math.min(1, options[index]!))
    found.push(payloads(packets))
  }
  return found
}

async function inOrder(stage: Stage): Promise<void> {
  const client = await stage.client('a')
  await client.subscribe('t/#', 2)
  const publisher = await stage.client('b')
  let id = 0
  for (let count = 0; count < 300; count++) {
    const qos = 1 + (count % 2)
    publisher.send(wire.publish({ topic: `t/${count % 3}`, payload: String(count), qos, id: ++id }))
  }
  for (let one = 1; one <= id; one++) {
    await publisher.take(one % 2 === 1 ? 'puback' : 'pubrec', one)
    if (one % 2 === 0) publisher.send(wire.ack('pubrel', one))
  }
  const seen = new Map<string, number>()
  for (let count = 0; count < 300; count++) {
    const { topic, qos, payload } = await client.accept()
    const stream = `${topic} ${qos}`
    expect(Number(payload)).toBeGreaterThan(seen.get(stream) ?? -1)
    seen.set(stream, Number(payload))
  }
}

/** AUTH of a client in an exchange of `ask-once`. */
const answer = (password: string, reason = 0x18): Buffer =>
  wire.auth(reason, { authMethod: 'ask-once', authData: Buffer.from(password) })

/** A client that was asked for more by the method `ask-once`. */
async function authenticating(stage: Stage): Promise<{ client: WireClient; asked: wire.Received }> {
  const client = await stage.open()
  client.send(wire.connect({ clientId: 'authenticating', properties: { authMethod: 'ask-once' } }))
  return { client, asked: await client.next() }
}

async function authenticated(stage: Stage): Promise<WireClient> {
  const { client } = await authenticating(stage)
  client.send(answer('right'))
  await client.take('connack')
  return client
}

/** MQTT 5, chapter 4. */
export const operation: readonly Statement[] = [
  {
    id: '4.1.0-1',
    says: 'a session lasts at least as long as its connection',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 1)
      await stage.skip(10_000)
      await client.publish('t', 'still there', 1)
      expect((await client.accept()).payload).toBe('still there')
    },
  },
  {
    id: '4.1.0-2',
    says: 'a session ends when its expiry interval has passed after the connection',
    async test(stage) {
      await stage.lose(await stage.returning('a', {}, 10), 'a')
      await stage.skip(11)
      expect((await stage.returning('a')).connack!.sessionPresent).toBe(false)
      await stage.lose(await stage.client('b', { clean: false }), 'b')
      expect((await stage.client('b', { clean: false })).connack!.sessionPresent).toBe(false)
      // the interval of DISCONNECT wins
      await (await stage.returning('c', {}, 10)).disconnect(0, { sessionExpiry: 100 })
      await stage.gone('c')
      await stage.skip(50)
      expect((await stage.returning('c')).connack!.sessionPresent).toBe(true)
    },
  },
  {
    id: '4.2.0-1',
    says: 'the broker is reached over an ordered stream of bytes, in whatever pieces they come',
    async test(stage) {
      const client = await stage.open()
      const bytes = Buffer.concat([wire.connect({ clientId: 'a' }), wire.subscribe(1, [['t', 1]]), wire.pingreq()])
      for (const one of bytes) {
        client.send(Buffer.of(one))
        await new Promise(resolve => setImmediate(resolve))
      }
      for (const type of ['connack', 'suback', 'pingresp']) expect((await client.next()).type).toBe(type)
    },
  },
  {
    id: '4.3.1-1',
    says: 'QoS 0 is sent once, with DUP 0',
    async test(stage) {
      const client = await stage.returning('a')
      await client.subscribe('t', 2)
      await client.publish('t', 'x', 0)
      expect(await client.take('publish')).toMatchObject({ qos: 0, dup: false })
      expect(await stage.untaken(await back(stage, client))).toEqual([])
    },
  },
  {
    id: '4.3.2-1',
    says: 'a new QoS 1 publish has an unused packet identifier',
    async test(stage) {
      const { client, id } = await begun(stage, 1)
      await client.publish('t/b', '', 1)
      expect((await client.take('publish')).id).not.toBe(id)
    },
  },
  {
    id: '4.3.2-2',
    says: 'a new QoS 1 publish is sent with QoS 1 and DUP 0',
    async test(stage) {
      await begun(stage, 1)
    },
  },
  {
    id: '4.3.2-3',
    says: 'a QoS 1 publish is open until PUBACK comes',
    async test(stage) {
      const { client, id } = await begun(stage, 1)
      const second = await back(stage, client)
      expect(await second.take('publish')).toMatchObject({ id, dup: true, qos: 1, payload: 'begun' })
      second.send(wire.ack('puback', id))
      await second.ping()
      expect(await stage.untaken(await back(stage, second))).toEqual([])
    },
  },
  {
    id: '4.3.2-4',
    says: 'QoS 1 is answered with PUBACK once the publish is taken over',
    async test(stage) {
      const client = await stage.client('a')
      expect(await client.publish('t', 'x', 1, { id: 4711 })).toMatchObject({ type: 'puback', id: 4711 })
      expect(await stage.server.records('t')).toHaveLength(1)
    },
  },
  {
    id: '4.3.2-5',
    says: 'after PUBACK the same packet identifier is a new publish, whatever its DUP flag',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 1)
      await client.publish('t', 'one', 1, { id: 9 })
      await client.publish('t', 'two', 1, { id: 9, dup: true })
      expect([(await client.accept()).payload, (await client.accept()).payload]).toEqual(['one', 'two'])
    },
  },
  {
    id: '4.3.3-1',
    says: 'a new QoS 2 publish has an unused packet identifier',
    async test(stage) {
      const { client, id } = await begun(stage, 2)
      client.send(wire.ack('pubrec', id))
      await client.take('pubrel', id)
      await client.publish('t/b', '', 2)
      expect((await client.take('publish')).id).not.toBe(id)
    },
  },
  {
    id: '4.3.3-2',
    says: 'a new QoS 2 publish is sent with QoS 2 and DUP 0',
    async test(stage) {
      await begun(stage, 2)
    },
  },
  {
    id: '4.3.3-3',
    says: 'a QoS 2 publish is open until PUBREC comes',
    async test(stage) {
      const { client, id } = await begun(stage, 2)
      const second = await back(stage, client)
      expect(await second.take('publish')).toMatchObject({ id, dup: true, qos: 2, payload: 'begun' })
    },
  },
  {
    id: '4.3.3-4',
    says: 'PUBREC without failure is answered with PUBREL of the same packet identifier',
    async test(stage) {
      for (const reason of [undefined, 0x00, 0x10]) {
        const { client, id } = await begun(stage, 2)
        client.send(wire.ack('pubrec', id, reason))
        expect(await client.next()).toMatchObject({ type: 'pubrel', id })
        client.send(wire.ack('pubcomp', id))
        await client.ping()
      }
    },
  },
  {
    id: '4.3.3-5',
    says: 'PUBREL is open until PUBCOMP comes',
    async test(stage) {
      const { client, id } = await begun(stage, 2)
      client.send(wire.ack('pubrec', id))
      await client.take('pubrel', id)
      const second = await back(stage, client)
      expect(await second.next()).toMatchObject({ type: 'pubrel', id })
      second.send(wire.ack('pubcomp', id))
      await second.ping()
      expect(await stage.untaken(await back(stage, second))).toEqual([])
    },
  },
  {
    id: '4.3.3-6',
    says: 'after PUBREL the publish is not sent again',
    async test(stage) {
      const { client, id } = await begun(stage, 2)
      client.send(wire.ack('pubrec', id))
      await client.take('pubrel', id)
      expect(payloads(await stage.untaken(await back(stage, client)))).toEqual([])
    },
  },
  {
    id: '4.3.3-7',
    says: 'a publish that was sent does not expire before its exchange ends',
    async test(stage) {
      const client = await stage.returning('a')
      await client.subscribe('t', 2)
      await client.publish('t', 'begun', 2, { properties: { messageExpiry: 5 } })
      const { id } = await client.take('publish')
      await stage.skip(10)
      const second = await back(stage, client)
      expect(await second.take('publish')).toMatchObject({ id, dup: true, payload: 'begun' })
      second.send(wire.ack('pubrec', id!))
      await second.take('pubrel', id)
    },
  },
  {
    id: '4.3.3-8',
    says: 'QoS 2 is answered with PUBREC once the publish is taken over',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.publish({ topic: 't', qos: 2, id: 4711 }))
      await client.take('pubrec', 4711)
      expect(await stage.server.records('t')).toHaveLength(1)
    },
  },
  {
    id: '4.3.3-9',
    says: 'after PUBREC with a failure the same packet identifier is a new publish',
    settings: { 'num.partitions': 4, 'partitions.max': 4 },
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 2)
      await client.publish('t', 'makes the one topic that there is room for', 2)
      await client.accept()
      client.send(wire.publish({ topic: 'no/room', qos: 2, id: 9 }))
      expect((await client.take('pubrec', 9)).reason).toBeGreaterThanOrEqual(0x80)
      await client.publish('t', 'new', 2, { id: 9 })
      expect((await client.accept()).payload).toBe('new')
    },
  },
  {
    id: '4.3.3-10',
    says: 'until PUBREL comes the same packet identifier is the same publish, answered and not passed on again',
    async test(stage) {
      const seen = await stage.client('seen')
      await seen.subscribe('t', 2)
      const client = await stage.returning('a')
      const bytes = wire.publish({ topic: 't', payload: 'once', qos: 2, id: 9 })
      client.send(bytes, bytes)
      await client.take('pubrec', 9)
      await client.take('pubrec', 9)
      const second = await back(stage, client)
      second.send(wire.publish({ topic: 't', payload: 'once', qos: 2, id: 9, dup: true }))
      await second.take('pubrec', 9)
      second.send(wire.ack('pubrel', 9))
      await second.take('pubcomp', 9)
      expect((await seen.accept()).payload).toBe('once')
      expect(await stage.untaken(seen)).toEqual([])
      expect(await stage.server.records('t')).toHaveLength(1)
    },
  },
  {
    id: '4.3.3-11',
    says: 'PUBREL is answered with PUBCOMP of the same packet identifier',
    async test(stage) {
      const client = await stage.client('a')
      for (const id of [9, 65_535]) {
        client.send(wire.publish({ topic: 't', qos: 2, id }))
        await client.take('pubrec', id)
        client.send(wire.ack('pubrel', id))
        expect(await client.next()).toMatchObject({ type: 'pubcomp', id })
      }
    },
  },
  {
    id: '4.3.3-12',
    says: 'after PUBCOMP the same packet identifier is a new publish',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 2)
      await client.publish('t', 'one', 2, { id: 9 })
      await client.publish('t', 'two', 2, { id: 9, dup: true })
      expect([(await client.accept()).payload, (await client.accept()).payload]).toEqual(['one', 'two'])
    },
  },
  {
    id: '4.3.3-13',
    says: 'the exchange of QoS 2 goes on when the publish has expired meanwhile',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.publish({ topic: 't', qos: 2, id: 9, properties: { messageExpiry: 1 } }))
      await client.take('pubrec', 9)
      await stage.skip(10)
      client.send(wire.ack('pubrel', 9))
      expect(await client.take('pubcomp', 9)).toMatchObject({ reason: 0 })
    },
  },
  {
    id: '4.4.0-1',
    says: 'a client that comes back gets what is open again under its packet identifiers; nothing is sent again otherwise',
    async test(stage) {
      const client = await stage.returning('a')
      await client.subscribe('t/#', 2)
      const publisher = await stage.client('publisher')
      for (const qos of [1, 2, 2]) await publisher.publish('t/a', `qos ${qos}`, qos)
      const open = [await client.take('publish'), await client.take('publish'), await client.take('publish')]
      client.send(wire.ack('pubrec', open[2]!.id!))
      await client.take('pubrel')
      await stage.skip(1000)
      expect(await stage.untaken(client)).toEqual([])
      const second = await back(stage, client)
      const again = [await second.next(), await second.next(), await second.next()]
      expect(again.map(({ type, id }) => `${type} ${id}`).sort()).toEqual([
        ...open.slice(0, 2).map(({ id }) => `publish ${id}`),
        `pubrel ${open[2]!.id}`,
      ])
      expect(again.filter(({ type }) => type === 'publish').every(({ dup }) => dup)).toBe(true)
    },
  },
  {
    id: '4.4.0-2',
    says: 'a publish that the client refuses counts as acknowledged',
    async test(stage) {
      const { client, id } = await begun(stage, 1)
      client.send(wire.ack('puback', id, 0x80))
      await (await stage.client('publisher')).publish('t/b', 'two', 2)
      const { id: second } = await client.take('publish')
      client.send(wire.ack('pubrec', second!, 0x87))
      await client.ping()
      expect(await stage.untaken(await back(stage, client))).toEqual([])
    },
  },
  {
    id: '4.5.0-1',
    says: 'a publish is added to the session of every client with a matching subscription',
    async test(stage) {
      const away = await stage.returning('a')
      await away.subscribe('t/#', 1)
      await away.disconnect(0, { sessionExpiry: 60 })
      const present = await stage.client('b')
      await present.subscribe('t/+', 1)
      await (await stage.client('publisher')).publish('t/x', 'all', 1)
      expect((await present.accept()).payload).toBe('all')
      expect((await (await stage.returning('a')).accept()).payload).toBe('all')
    },
  },
  { id: '4.5.0-2', says: 'a client acknowledges what it gets', untestable: ofClients },
  {
    id: '4.6.0-1',
    says: 'what is sent again comes in the order in which it was sent first',
    async test(stage) {
      const client = await stage.returning('a')
      await client.subscribe('t', 1)
      const publisher = await stage.client('publisher')
      for (let count = 0; count < 20; count++) await publisher.publish('t', String(count), 1)
      for (let count = 0; count < 20; count++) await client.take('publish')
      const second = await back(stage, client)
      for (let count = 0; count < 20; count++) expect((await second.take('publish')).payload).toBe(String(count))
    },
  },
  {
    id: '4.6.0-2',
    says: 'PUBACK come in the order of the publishes',
    async test(stage) {
      const client = await stage.client('a')
      const ids = Array.from({ length: 100 }, (_, index) => 500 - index)
      for (const id of ids) client.send(wire.publish({ topic: `t${id % 3}/a`, qos: 1, id }))
      for (const id of ids) expect(await client.next()).toMatchObject({ type: 'puback', id })
    },
  },
  {
    id: '4.6.0-3',
    says: 'PUBREC come in the order of the publishes',
    async test(stage) {
      const client = await stage.client('a')
      const ids = Array.from({ length: 100 }, (_, index) => 500 - index)
      for (const id of ids) client.send(wire.publish({ topic: `t${id % 3}/a`, qos: 2, id }))
      for (const id of ids) expect(await client.next()).toMatchObject({ type: 'pubrec', id })
    },
  },
  {
    id: '4.6.0-4',
    says: 'PUBREL come in the order of PUBREC',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 2)
      for (let count = 0; count < 5; count++) await client.publish('t', '', 2)
      const ids: number[] = []
      for (let count = 0; count < 5; count++) ids.unshift((await client.take('publish')).id!)
      client.send(...ids.map(id => wire.ack('pubrec', id)))
      for (const id of ids) expect(await client.next()).toMatchObject({ type: 'pubrel', id })
    },
  },
  { id: '4.6.0-5', says: 'publishes of a client to a topic arrive in their order, for each QoS', test: inOrder },
  { id: '4.6.0-6', says: 'every topic keeps its order', test: inOrder },
  {
    id: '4.7.0-1',
    says: 'topic names have no wildcards',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: 'a/+/b', qos: 1, id: 1 }), [...malformed, 0x90])
    },
  },
  {
    id: '4.7.1-1',
    says: '# stands alone in the last level',
    async test(stage) {
      for (const filter of ['a#', 'a/#/b', '#/', 'a/b#'])
        await stage.refuses(wire.subscribe(1, [[filter, 0]]), [...malformed, 0x8f])
      const client = await stage.client('a')
      await client.subscribe('a/#', 1)
      for (const topic of ['a', 'a/', 'a/b', 'a/b/c', 'ab', 'b']) await client.publish(topic, topic, 1)
      expect(payloads(await stage.untaken(client))).toEqual(['a', 'a/', 'a/b', 'a/b/c'])
    },
  },
  {
    id: '4.7.1-2',
    says: '+ fills a whole level',
    async test(stage) {
      for (const filter of ['a+', '+a/b', 'a/b+/c', '++'])
        await stage.refuses(wire.subscribe(1, [[filter, 0]]), [...malformed, 0x8f])
      const client = await stage.client('a')
      await client.subscribe('+/b/+', 1)
      for (const topic of ['a/b/c', '/b/', 'a/b', 'a/b/c/d', 'a/c/c']) await client.publish(topic, topic, 1)
      expect(payloads(await stage.untaken(client))).toEqual(['a/b/c', '/b/'])
    },
  },
  {
    id: '4.7.2-1',
    says: 'a filter that begins with a wildcard does not match topics that begin with $',
    async test(stage) {
      const client = await stage.client('a')
      for (const filter of ['#', '+/x', '+/#']) await client.subscribe(filter, 1)
      await client.publish('$mine/x', '', 0)
      await client.publish('$mine/x', '', 1)
      expect(payloads(await stage.untaken(client))).toEqual([])
    },
  },
  {
    id: '4.7.3-1',
    says: 'names and filters have at least one character',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: '' }), [...malformed, 0x90])
      await stage.refuses(wire.subscribe(1, [['', 0]]), [...malformed, 0x8f])
      await stage.refuses(wire.unsubscribe(1, ['']), [...malformed, 0x8f])
    },
  },
  {
    id: '4.7.3-2',
    says: 'names and filters do not contain U+0000',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: '\0' }), [...malformed, 0x90])
      await stage.refuses(wire.unsubscribe(1, ['a\0']), [...malformed, 0x8f])
    },
  },
  {
    id: '4.7.3-3',
    says: 'names and filters have at most 65,535 bytes',
    async test(stage) {
      const client = await stage.client('a')
      const longest = 'x'.repeat(65_535)
      await client.subscribe('#', 1)
      const puback = await client.publish(longest, 'x', 1)
      if (puback!.reason! < 0x80) expect((await client.accept()).topic).toBe(longest)
      expect((await client.subscribe(longest, 1)).reasons![0]).toBeDefined()
    },
  },
  {
    id: '4.7.3-4',
    says: 'names are compared as they are, without any normalization',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t/\u00e9', 1)
      for (const topic of ['t/e\u0301', 'T/\u00e9', 't//\u00e9', 't/\u00e9/', '/t/\u00e9', 't/\u00e9 ', 't/\u00e9'])
        await client.publish(topic, topic, 1)
      expect(payloads(await stage.untaken(client))).toEqual(['t/\u00e9'])
    },
  },
  {
    id: '4.8.2-1',
    says: 'a shared subscription begins with $share/ and a name',
    async test(stage) {
      await stage.refuses(wire.subscribe(1, [['$share//t', 1]]), [...malformed, 0x8f])
      const found = await sharing(stage, [1, 1], 10)
      expect(found.flat().sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
      expect(found.every(one => one.length > 0)).toBe(true)
    },
  },
  {
    id: '4.8.2-2',
    says: 'the name of a share has no wildcards, and a filter follows it',
    async test(stage) {
      for (const filter of ['$share/g+/t', '$share/#/t', '$share/g', '$share/g/', '$share/'])
        await stage.refuses(wire.subscribe(1, [[filter, 1]]), [...malformed, 0x8f])
    },
  },
  {
    id: '4.8.2-3',
    says: 'the QoS granted to the member holds',
    async test(stage) {
      // the QoS of each delivery is looked at there
      const found = await sharing(stage, [0, 1, 2], 12)
      expect(found.flat()).toHaveLength(12)
    },
  },
  {
    id: '4.8.2-4',
    says: 'a delivery that a member has begun is brought to its end when it comes back',
    async test(stage) {
      const client = await stage.returning('a')
      await client.subscribe('$share/g/t', 2)
      await (await stage.client('publisher')).publish('t', 'begun', 2)
      const { id } = await client.take('publish')
      await stage.lose(client, 'a')
      const other = await stage.client('other')
      await other.subscribe('$share/g/t', 2)
      expect(await (await stage.returning('a')).take('publish')).toMatchObject({ id, dup: true, payload: 'begun' })
      expect(await stage.untaken(other)).toEqual([])
    },
  },
  {
    id: '4.8.2-5',
    says: 'a QoS 2 delivery that a member has begun goes to no other member when its session ends',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('$share/g/t', 2)
      await (await stage.client('publisher')).publish('t', 'begun', 2)
      await client.take('publish')
      const other = await stage.client('other')
      await other.subscribe('$share/g/t', 2)
      await stage.lose(client, 'a')
      expect(await stage.untaken(other)).toEqual([])
    },
  },
  {
    id: '4.8.2-6',
    says: 'what a member refuses goes to no other member',
    async test(stage) {
      const members = [await stage.client('a'), await stage.client('b')]
      for (const member of members) await member.subscribe('$share/g/t', 1)
      await (await stage.client('publisher')).publish('t', 'x', 1)
      const got: [WireClient, number][] = []
      for (const member of members)
        for (const { type, id } of await stage.untaken(member)) if (type === 'publish') got.push([member, id!])
      expect(got).toHaveLength(1)
      const [member, id] = got[0]!
      member.send(wire.ack('puback', id, 0x80))
      await member.ping()
      for (const one of members) expect(await stage.untaken(one)).toEqual([])
    },
  },
  {
    id: '4.9.0-1',
    says: 'the send quota begins with the receive maximum of the client at most',
    async test(stage) {
      const client = await stage.client('a', { properties: { receiveMaximum: 1 } })
      await client.subscribe('t', 1)
      for (const payload of ['one', 'two']) await client.publish('t', payload, 1)
      expect(payloads(await stage.untaken(client))).toEqual(['one'])
    },
  },
  {
    id: '4.9.0-2',
    says: 'with the quota used up no publish above QoS 0 is sent until one is acknowledged',
    async test(stage) {
      const client = await stage.client('a', { properties: { receiveMaximum: 2 } })
      await client.subscribe('t/#', 1)
      for (let count = 0; count < 5; count++) await client.publish('t/a', String(count), 1)
      const { id } = await client.take('publish')
      await client.take('publish')
      await client.publish('t/b', 'qos 0', 0)
      expect(payloads(await stage.untaken(client)).filter(payload => payload !== 'qos 0')).toEqual([])
      client.send(wire.ack('puback', id!))
      expect((await client.take('publish')).payload).toBe('2')
    },
  },
  {
    id: '4.9.0-3',
    says: 'with the quota used up all other packets go on',
    async test(stage) {
      const client = await stage.client('a', { properties: { receiveMaximum: 1 } })
      await client.subscribe('t', 1)
      for (let count = 0; count < 3; count++) await client.publish('t', String(count), 1)
      await client.subscribe('x', 1)
      await client.unsubscribe('x')
      await client.publish('y', '', 2)
      await client.ping()
    },
  },
  {
    id: '4.12.0-1',
    says: 'an authentication method that is not known ends the connection with 0x8c',
    async test(stage) {
      const found = await stage.refusesConnect({ properties: { authMethod: 'SCRAM-SHA-1' } }, badAuth)
      expect(found).toHaveLength(1)
    },
  },
  {
    id: '4.12.0-2',
    says: 'the broker asks for more with AUTH and 0x18',
    async test(stage) {
      const { asked } = await authenticating(stage)
      expect(asked).toMatchObject({ type: 'auth', reason: 0x18 })
    },
  },
  {
    id: '4.12.0-3',
    says: 'a client answers AUTH with AUTH and 0x18, and nothing else',
    async test(stage) {
      const { client } = await authenticating(stage)
      client.send(answer('right'))
      expect(await client.take('connack')).toMatchObject({ reason: 0 })
      for (const reason of [0x00, 0x19]) {
        const other = await authenticating(stage)
        other.client.send(answer('right', reason))
        expect((await other.client.closed()).filter(({ reason: code }) => code === 0)).toEqual([])
      }
    },
  },
  {
    id: '4.12.0-4',
    says: 'a refused authentication ends the connection',
    async test(stage) {
      await stage.refusesConnect({ properties: { authMethod: 'x', authData: Buffer.from('y') } }, badAuth)
      const { client } = await authenticating(stage)
      client.send(answer('wrong'))
      expect(await client.closed()).toMatchObject([{ type: 'connack', reason: 0x87, sessionPresent: false }])
    },
  },
  {
    id: '4.12.0-5',
    says: 'AUTH and CONNACK repeat the authentication method',
    async test(stage) {
      const { client, asked } = await authenticating(stage)
      expect(asked.properties.authMethod).toBe('ask-once')
      client.send(answer('right'))
      const { properties } = await client.take('connack')
      expect(properties).toMatchObject({ authMethod: 'ask-once', authData: Buffer.from('welcome') })
    },
  },
  {
    id: '4.12.0-6',
    says: 'a client without an authentication method gets neither AUTH nor a method in CONNACK',
    async test(stage) {
      const client = await stage.client('a', { username: 'user', password: 'secret' })
      expect(client.connack!.properties.authMethod).toBeUndefined()
      expect(await client.ping()).toEqual([])
    },
  },
  {
    id: '4.12.0-7',
    says: 'AUTH of a client without an authentication method ends the connection as a protocol error',
    test: stage => stage.refuses(wire.auth(0x18, { authMethod: 'x' }), [0x82]),
  },
  {
    id: '4.12.1-1',
    says: 'authentication is begun again with AUTH and 0x19, by clients that have a method, which stays the same',
    async test(stage) {
      const client = await authenticated(stage)
      client.send(wire.auth(0x19, { authMethod: 'ask-once' }))
      expect(await client.take('auth')).toMatchObject({ reason: 0x18, properties: { authMethod: 'ask-once' } })
      client.send(answer('right'))
      expect(await client.take('auth')).toMatchObject({ reason: 0, properties: { authMethod: 'ask-once' } })
      expect(await client.ping()).toEqual([])
      client.send(wire.auth(0x19, { authMethod: 'another' }))
      await stage.ends(client, 0x82)
      await stage.refuses(wire.auth(0x19, { authMethod: 'x' }), [0x82])
    },
  },
  {
    id: '4.12.1-2',
    says: 'an authentication begun again that fails ends the connection',
    async test(stage) {
      const client = await authenticated(stage)
      client.send(wire.auth(0x19, { authMethod: 'ask-once' }))
      await client.take('auth')
      client.send(answer('wrong'))
      await stage.ends(client, 0x87)
    },
  },
  {
    id: '4.13.1-1',
    says: 'a malformed packet or protocol error ends the connection, that of its client alone',
    async test(stage) {
      const other = await stage.client('other')
      for (const bytes of [
        wire.packet('pubrec', 0),
        wire.packet('puback', 0, Buffer.of(1)),
        wire.packet('subscribe', 2, wire.int16(1), wire.properties(), wire.text('t')),
        wire.packet('unsubscribe', 2, wire.int16(1), wire.properties(), Buffer.of(0, 9, 1)),
        wire.packet('connack', 0, Buffer.of(0, 0, 0)),
        wire.packet('suback', 0, wire.int16(1), wire.properties(), Buffer.of(0)),
        wire.packet('pingresp', 0),
        wire.packet('pingreq', 0, Buffer.of(1)),
        wire.packet('publish', 0, wire.text('t'), wire.properties(wire.property('payloadFormat', 3))),
        wire.packet('publish', 0, wire.text('t'), wire.properties(wire.property('willDelay', 3))),
        wire.publish({
          topic: 't',
          properties: Buffer.concat([wire.property('payloadFormat', 1), wire.property('payloadFormat', 1)]),
        }),
        wire.subscribe(1, [['t', 0]], { properties: { subscriptionId: [0] } }),
        wire.packet('disconnect', 0, wire.byte(0), wire.properties(wire.property('topicAlias', 1))),
        Buffer.of(0x00, 0x00),
        Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01),
      ])
        await stage.refuses(bytes, malformed)
      expect(await other.ping()).toEqual([])
    },
  },
  {
    id: '4.13.2-1',
    says: 'a reason code of 0x80 or more is followed by the end of the connection',
    async test(stage) {
      expect(await stage.refusesConnect({ properties: { authMethod: 'x' } }, badAuth)).toHaveLength(1)
      await stage.refuses(wire.disconnect(0, { sessionExpiry: 60 }), [0x82])
    },
  },
]
