import { expect, it } from 'vitest'
import { decodePosition, encodePosition, type Position } from '../../../src/uplink/position.ts'
import { UplinkStopped } from '../../../src/uplink/uplink-errors.ts'

const logId = 'a'.repeat(32)
const position: Position = {
  topic: 'sensors',
  partition: 3,
  topicId: 'b'.repeat(32),
  last: 41,
  records: 40,
  gateway: 'g7',
  unsent: { budget: 1, skipped: 1 },
  target: 'edge.sensors',
  targetId: 'e'.repeat(32),
  central: { 0: { first: 3, last: 17, records: 14 }, 2: { first: 0, last: 40, records: 26 } },
  elsewhere: { renamed: 0, remade: 0 },
  starts: [{ incarnation: 'c'.repeat(16), from: 7 }],
}
const stored = (of: Position, log = logId) => ({ offset: 0, headers: [], ...encodePosition(log, of, 1) })

it('comes back as it went', () => {
  expect(decodePosition(logId, stored(position))).toEqual(position)
  const named = { ...position, named: 12 }
  expect(decodePosition(logId, stored(named))).toEqual(named)
})

it('of another log, removed ones and foreign records are none', () => {
  expect(decodePosition('d'.repeat(32), stored(position))).toBeUndefined()
  expect(decodePosition(logId, { ...stored(position), value: null })).toBeUndefined()
  expect(decodePosition(logId, { ...stored(position), key: null })).toBeUndefined()
})

it('what cannot be understood stops the uplink: it could send twice', () => {
  for (const value of [
    '',
    '[',
    '1',
    '{"version":2}',
    '{"version":1,"last":-1,"records":0,"topicId":"","target":"","targetId":""}',
    ...['unsent', 'central', 'elsewhere', 'starts', 'last', 'named', 'targetId'].map(field => {
      const value = encodePosition(logId, position, 1).value
      return JSON.stringify({ ...JSON.parse(value.toString()), [field]: [1] })
    }),
  ])
    expect(() => decodePosition(logId, { ...stored(position), value: Buffer.from(value) })).toThrow(UplinkStopped)
})
