import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import type { Stage } from '../stage.ts'
import type { Statement } from './statement.ts'

const malformed = [0x81, 0x82]
/** The encoding of a surrogate, which UTF-8 does not have. */
const surrogate = Buffer.from([0x61, 0xed, 0xa0, 0x80])

async function sharedId(stage: Stage): Promise<void> {
  const client = await stage.client('a')
  await client.subscribe('t', 2)
  client.send(wire.publish({ topic: 't', qos: 2, id: 77 }))
  await client.take('pubrec', 77)
  client.send(wire.ack('pubrel', 77))
  await client.take('pubcomp', 77)
  client.send(wire.publish({ topic: 'other', qos: 1, id: 78 }))
  await client.take('puback', 78)
  const { id } = await client.take('publish')
  client.send(wire.ack('pubrec', id!))
  await client.take('pubrel', id)
}

/** MQTT 5, chapters 1 and 2. */
export const dataFormat: readonly Statement[] = [
  {
    id: '1.5.4-1',
    says: 'strings are well-formed UTF-8, without surrogates',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: surrogate }), [...malformed, 0x90])
      await stage.refuses(wire.subscribe(1, [[surrogate, 0]]), [...malformed, 0x8f])
      await stage.refusesConnect({ clientId: surrogate }, [...malformed, 0x85])
    },
  },
  {
    id: '1.5.4-2',
    says: 'strings do not contain U+0000',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: 'a\0b' }), [...malformed, 0x90])
      await stage.refuses(wire.subscribe(1, [['a\0b', 0]]), [...malformed, 0x8f])
      await stage.refuses(wire.publish({ topic: 'a', properties: { contentType: 'x\0' } }), malformed)
    },
  },
  {
    id: '1.5.4-3',
    says: 'a byte order mark is a character like others and stays',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('\uFEFFt', 1)
      await client.publish('t', 'without', 1)
      await client.publish('\uFEFFt', 'with', 1, { properties: { contentType: '\uFEFFx' } })
      const found = await client.accept()
      expect(found).toMatchObject({ topic: '\uFEFFt', payload: 'with', properties: { contentType: '\uFEFFx' } })
    },
  },
  {
    id: '1.5.5-1',
    says: 'variable byte integers take as few bytes as they can',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t')
      for (const length of [0, 1, 120, 127, 128, 200, 16_380, 16_384, 70_000]) {
        await client.publish('t', '.'.repeat(length))
        // the reader accepts nothing longer in properties; this is the fixed header
        const { bytes } = await client.accept()
        expect(bytes.subarray(1, -(4 + length))).toEqual(wire.varint(4 + length))
      }
    },
  },
  {
    id: '1.5.7-1',
    says: 'both strings of a pair are UTF-8',
    async test(stage) {
      const bad = Buffer.concat([wire.byte(0x26), wire.text('name'), wire.text(surrogate)])
      await stage.refuses(wire.publish({ topic: 't', properties: bad }), malformed)
    },
  },
  {
    id: '2.1.3-1',
    says: 'reserved bits of the fixed header have the value listed',
    async test(stage) {
      for (const bytes of [
        wire.packet('pingreq', 1),
        wire.packet('puback', 2, wire.int16(1)),
        wire.packet('pubrec', 4, wire.int16(1)),
        wire.packet('pubcomp', 8, wire.int16(1)),
      ])
        await stage.refuses(bytes, malformed)
    },
  },
  {
    id: '2.2.1-2',
    says: 'a QoS 0 publish has no packet identifier',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 1)
      await client.publish('t', 'x', 0)
      expect((await client.take('publish')).bytes).toEqual(Buffer.from([0x30, 5, 0, 1, 0x74, 0, 0x78]))
    },
  },
  {
    id: '2.2.1-3',
    says: 'packets of a client that need a packet identifier have one other than 0',
    async test(stage) {
      await stage.refuses(wire.publish({ topic: 't', qos: 1, id: 0 }), malformed)
      await stage.refuses(wire.publish({ topic: 't', qos: 2, id: 0 }), malformed)
      await stage.refuses(wire.subscribe(0, [['t', 0]]), malformed)
      await stage.refuses(wire.unsubscribe(0, ['t']), malformed)
    },
  },
  {
    id: '2.2.1-4',
    says: 'the broker gives each new publish a packet identifier that is not in use',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 2)
      for (let count = 0; count < 20; count++) await client.publish('t', '', 1 + (count % 2))
      const ids = new Set<number>()
      for (let count = 0; count < 20; count++) ids.add((await client.take('publish')).id!)
      expect(ids.size).toBe(20)
    },
  },
  { id: '2.2.1-5', says: 'acknowledgements carry the packet identifier of the publish', test: sharedId },
  {
    id: '2.2.1-6',
    says: 'SUBACK and UNSUBACK carry the packet identifier of the request',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.subscribe(4711, [['t', 0]]), wire.unsubscribe(4712, ['t']))
      expect(await client.next()).toMatchObject({ type: 'suback', id: 4711 })
      expect(await client.next()).toMatchObject({ type: 'unsuback', id: 4712 })
    },
  },
  {
    id: '2.2.2-1',
    says: 'a packet without properties says so with a length of 0',
    async test(stage) {
      const client = await stage.client('a')
      const suback = await client.subscribe('t', 0)
      expect(suback.bytes).toEqual(Buffer.from([0x90, 4, 0, 1, 0, 0]))
      await client.publish('t', 'x')
      expect((await client.take('publish')).bytes).toEqual(Buffer.from([0x30, 5, 0, 1, 0x74, 0, 0x78]))
    },
  },
]
