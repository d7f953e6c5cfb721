import { expect } from 'vitest'
import * as wire from '../../support/mqtt-wire.ts'
import { hex, type Stage } from '../stage.ts'
import type { Statement } from './statement.ts'

const malformed = [0x81, 0x82]
const pubackReasons = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const pubrelReasons = [0x00, 0x92]

/** Nothing that the broker answers is larger than what the client takes. */
async function smallAnswers(stage: Stage): Promise<void> {
  const client = await stage.client('a', { properties: { maximumPacketSize: 18 } })
  client.send(wire.publish({ topic: '$none/t', qos: 1, id: 1 }), wire.publish({ topic: '$none/t', qos: 2, id: 2 }))
  const found = [await client.take('puback', 1), await client.take('pubrec', 2)]
  if (found[1]!.reason! < 0x80) {
    client.send(wire.ack('pubrel', 2))
    found.push(await client.take('pubcomp', 2))
  }
  client.send(wire.ack('pubrel', 99))
  found.push(await client.take('pubcomp', 99))
  client.send(wire.ack('pubrec', 98))
  found.push(await client.take('pubrel', 98))
  for (const { bytes } of found) expect(bytes.length).toBeLessThanOrEqual(18)
}

async function reasonsOf(stage: Stage, qos: 1 | 2): Promise<number[]> {
  const client = await stage.client('a')
  const reasons = []
  for (const topic of ['t', '$none/t', '$SYS/x', 'a//b', '/'])
    reasons.push((await client.publish(topic, 'x', qos))!.reason!)
  return reasons
}

/** MQTT 5, sections 3.4 to 3.7. */
export const acknowledgements: readonly Statement[] = [
  {
    id: '3.4.2-1',
    says: 'PUBACK has a reason code of its own',
    async test(stage) {
      const reasons = await reasonsOf(stage, 1)
      expect(reasons.filter(reason => !pubackReasons.includes(reason)).map(hex)).toEqual([])
      expect(reasons[0]).toBeLessThan(0x80)
    },
  },
  { id: '3.4.2-2', says: 'a reason string does not make PUBACK too large', test: smallAnswers },
  { id: '3.4.2-3', says: 'user properties do not make PUBACK too large', test: smallAnswers },
  {
    id: '3.5.2-1',
    says: 'PUBREC has a reason code of its own',
    async test(stage) {
      const reasons = await reasonsOf(stage, 2)
      expect(reasons.filter(reason => !pubackReasons.includes(reason)).map(hex)).toEqual([])
      expect(reasons[0]).toBeLessThan(0x80)
    },
  },
  { id: '3.5.2-2', says: 'a reason string does not make PUBREC too large', test: smallAnswers },
  { id: '3.5.2-3', says: 'user properties do not make PUBREC too large', test: smallAnswers },
  {
    id: '3.6.1-1',
    says: 'PUBREL has the flags 0010',
    async test(stage) {
      for (const flags of [0, 1, 3, 6, 10]) await stage.refuses(wire.packet('pubrel', flags, wire.int16(1)), malformed)
    },
  },
  {
    id: '3.6.2-1',
    says: 'PUBREL has a reason code of its own: 0x92 for a packet identifier that is not known',
    async test(stage) {
      const client = await stage.client('a')
      await client.subscribe('t', 2)
      await client.publish('t', '', 2)
      const { id } = await client.take('publish')
      client.send(wire.ack('pubrec', id!))
      expect(await client.take('pubrel', id)).toMatchObject({ reason: 0 })
      client.send(wire.ack('pubrec', 4000))
      expect(pubrelReasons).toContain((await client.take('pubrel', 4000)).reason)
    },
  },
  { id: '3.6.2-2', says: 'a reason string does not make PUBREL too large', test: smallAnswers },
  { id: '3.6.2-3', says: 'user properties do not make PUBREL too large', test: smallAnswers },
  {
    id: '3.7.2-1',
    says: 'PUBCOMP has a reason code of its own: 0x92 for a packet identifier that is not known',
    async test(stage) {
      const client = await stage.client('a')
      client.send(wire.publish({ topic: 't', qos: 2, id: 5 }))
      await client.take('pubrec', 5)
      client.send(wire.ack('pubrel', 5))
      expect((await client.take('pubcomp', 5)).reason).toBe(0)
      client.send(wire.ack('pubrel', 5))
      expect(pubrelReasons).toContain((await client.take('pubcomp', 5)).reason)
    },
  },
  { id: '3.7.2-2', says: 'a reason string does not make PUBCOMP too large', test: smallAnswers },
  { id: '3.7.2-3', says: 'user properties do not make PUBCOMP too large', test: smallAnswers },
]
