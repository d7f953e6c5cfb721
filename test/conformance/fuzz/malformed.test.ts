import { afterEach, expect, test } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { hex, Stage } from '../stage.ts'

/** Packets that are nearly right: what comes of each is one of the answers that the specification knows, and nobody else notices. */

const seeds = Number(process.env['FUZZ_SEEDS'] ?? 200)
let stage: Stage

afterEach(() => stage.end())

const packets: readonly Buffer[] = [
  wire.publish({ topic: 'f/a', payload: 'x' }),
  wire.publish({ topic: 'f/a', payload: 'x', qos: 1, id: 5, properties: { topicAlias: 1, user: [['a', 'b']] } }),
  wire.publish({ topic: 'f/b', qos: 2, id: 6, retain: true, properties: { messageExpiry: 9, contentType: 'text/x' } }),
  wire.publish({ topic: '', qos: 1, id: 7, properties: { topicAlias: 1, responseTopic: 'f/r', payloadFormat: 1 } }),
  wire.ack('puback', 1),
  wire.ack('pubrec', 2, 0x10),
  wire.ack('pubrel', 6),
  wire.ack('pubcomp', 3, 0x92),
  wire.subscribe(8, [['f/#', 2]], { properties: { subscriptionId: [7], user: [['', '']] } }),
  wire.subscribe(9, [['$share/g/f/+', 1], ['f', wire.noLocal | wire.retainHandling(2)]]), // biome-ignore format: pairs
  wire.unsubscribe(10, ['f/#', 'none']),
  wire.pingreq(),
  wire.disconnect(4, { sessionExpiry: 5, reasonString: 'why' }),
  wire.auth(0x18, { authMethod: 'x' }),
  wire.connect({ clientId: 'again', will: { topic: 'f/w' }, properties: { sessionExpiry: 5 } }),
]

const connects: readonly Buffer[] = [
  wire.connect({ clientId: 'f', keepAlive: 60, username: 'u', password: 'p' }),
  wire.connect({
    clientId: '',
    clean: false,
    properties: { receiveMaximum: 2, maximumPacketSize: 200, user: [['a', 'b']] },
  }),
  wire.connect({ clientId: 'g', will: { topic: 'f/w', qos: 1, properties: { willDelay: 1, user: [['a', 'b']] } } }),
  wire.connect({ clientId: 'h', properties: { authMethod: 'm', authData: Buffer.of(1, 2) } }),
]

/** One to three bytes changed, put in or taken out behind the fixed header, whose length is right again; sometimes other flags. */
function mutated(packet: Buffer, random: SimRandom): Buffer {
  // none of them is longer than one byte of length can say
  const body = [...packet.subarray(2)]
  for (let count = random.between(1, 3); count > 0; count--) {
    const at = random.below(body.length + 1)
    const kind = random.below(4)
    if (kind === 0) body.splice(at, 0, random.below(256))
    else if (kind === 1) body.splice(at, 1)
    else if (at < body.length) body[at] = kind === 2 ? random.below(256) : body[at]! ^ (1 << random.below(8))
  }
  const first = random.chance(0.1) ? packet[0]! ^ (1 << random.below(4)) : packet[0]!
  return Buffer.concat([wire.byte(first), wire.varint(body.length), Buffer.from(body)])
}

/** How it went on after the bytes: answers to PINGREQ, or an end. */
async function outcome(client: WireClient): Promise<wire.Received[] | undefined> {
  client.send(wire.pingreq())
  try {
    await client.take('pingresp')
    return undefined
  } catch (error) {
    if (!client.isClosed) throw error
    return client.closed()
  }
}

const isDisconnect = (bytes: Buffer): boolean => bytes[0]! >> 4 === wire.packetTypes.disconnect

test(`${seeds} damaged packets of connected clients end in a reason code or do no harm`, async () => {
  stage = await Stage.open()
  const good = await stage.client('good')
  await good.subscribe('good', 1)
  const reasons = new Map<string, number>()
  for (let seed = 1; seed <= seeds; seed++) {
    const random = new SimRandom(seed)
    const client = await stage.client(`f${seed}`)
    const bytes = mutated(random.pick(packets), random)
    client.send(bytes)
    const last = await outcome(client)
    const isEnd = last === undefined || isDisconnect(bytes) || last.at(-1)?.type === 'disconnect'
    expect(isEnd, `seed ${seed}: ${bytes.toString('hex')} is closed without a word`).toBe(true)
    const said = last?.at(-1)?.reason
    const reason = said === undefined ? 'none' : hex(said)
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    client.destroy()
    await good.publish('good', String(seed), 1)
    expect((await good.accept()).payload).toBe(String(seed))
  }
  const known = ['none', '0x81', '0x82', '0x90', '0x8f', '0x93', '0x94', '0x95', '0x97']
  expect([...reasons.keys()].filter(reason => !known.includes(reason))).toEqual([])
  for (const reason of ['none', '0x81', '0x82']) expect([...reasons.keys()]).toContain(reason)
})

test(`${seeds} damaged CONNECT packets are accepted, refused in CONNACK or closed`, async () => {
  stage = await Stage.open()
  const good = await stage.client('good')
  const seen = new Set<string>()
  for (let seed = 1; seed <= seeds; seed++) {
    const random = new SimRandom(seed)
    const bytes = mutated(random.pick(connects), random)
    // an older version is answered in its own form
    const client = await stage.open(bytes.subarray(2).includes(Buffer.from('MQTT\x05')) ? 5 : 4)
    client.send(bytes)
    const last = await outcome(client).catch(error => {
      // CONNACK and PINGRESP of an old version are read in the form of version 5, and the other way round
      if (!String(error).includes('short') && !String(error).includes('end')) throw error
      return [] as wire.Received[]
    })
    const [first] = last ?? []
    if (last === undefined) seen.add('accepted')
    else if (first === undefined) seen.add('closed')
    else {
      expect(first.type, `seed ${seed}: ${bytes.toString('hex')}`).toBe('connack')
      seen.add(first.reason === 0 ? 'accepted' : 'refused')
    }
    client.destroy()
    await good.publish('good', '', 1)
  }
  expect([...seen].sort()).toEqual(['accepted', 'closed', 'refused'])
})
