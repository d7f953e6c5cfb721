import { expect, it } from 'vitest'
import {
  assignRanges,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../src/client/group-protocol.ts'
import { MalformedFrame } from '../../../src/core/malformed-frame.ts'

const assigned = (subscriptions: Record<string, string[]>, counts: Record<string, number>) =>
  Object.fromEntries(
    [...assignRanges(new Map(Object.entries(subscriptions)), new Map(Object.entries(counts)))].map(
      ([member, assignment]) => [member, Object.fromEntries(assignment)],
    ),
  )

// the cases of RangeAssignorTest of Apache Kafka
it.each([
  ['no topic', { a: [] }, {}, { a: {} }],
  ['a topic that does not exist', { a: ['t'] }, {}, { a: {} }],
  ['one member', { a: ['t'] }, { t: 3 }, { a: { t: [0, 1, 2] } }],
  ['only topics that are subscribed', { a: ['t'] }, { t: 3, other: 3 }, { a: { t: [0, 1, 2] } }],
  ['several topics', { a: ['t', 'u'] }, { t: 1, u: 2 }, { a: { t: [0], u: [0, 1] } }],
  ['two members, one partition', { a: ['t'], b: ['t'] }, { t: 1 }, { a: { t: [0] }, b: {} }],
  ['two members, two partitions', { a: ['t'], b: ['t'] }, { t: 2 }, { a: { t: [0] }, b: { t: [1] } }],
  [
    'mixed subscriptions',
    { a: ['t'], b: ['t', 'u'], c: ['t'] },
    { t: 3, u: 2 },
    { a: { t: [0] }, b: { t: [1], u: [0, 1] }, c: { t: [2] } },
  ],
  [
    'an odd number of partitions',
    { a: ['t', 'u'], b: ['t', 'u'] },
    { t: 3, u: 3 },
    { a: { t: [0, 1], u: [0, 1] }, b: { t: [2], u: [2] } },
  ],
  ['members by their ids, not by their order', { b: ['t'], B: ['t'] }, { t: 3 }, { B: { t: [0, 1] }, b: { t: [2] } }],
])('assigns ranges as Kafka does: %s', (_what, subscriptions, counts, expected) =>
  expect(assigned(subscriptions as Record<string, string[]>, counts)).toEqual(expected),
)

it('gives every partition to one member, with counts that differ by one at most', () => {
  for (let members = 1; members <= 7; members++) {
    const subscriptions = Object.fromEntries(Array.from({ length: members }, (_, index) => [`m${index}`, ['t']]))
    for (let partitions = 0; partitions <= 20; partitions++) {
      const shares = Object.values(assigned(subscriptions, { t: partitions })).map(({ t }) => t ?? [])
      expect(shares.flat()).toEqual(Array.from({ length: partitions }, (_, index) => index))
      const sizes = shares.map(({ length }) => length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }
  }
})

it('writes what consumers of Kafka write (version 0 of the consumer protocol)', () => {
  expect(encodeSubscription(['t', 'ü']).toString('hex')).toBe('000000000002' + '000174' + '0002c3bc' + 'ffffffff')
  const assignment = new Map([['t', [1, 258]]])
  expect(encodeAssignment(assignment).toString('hex')).toBe(
    '000000000001' + '000174' + '00000002' + '00000001' + '00000102' + 'ffffffff',
  )
  expect(decodeSubscription(encodeSubscription(['t', 'ü']))).toEqual(['t', 'ü'])
  expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment)
})

it('reads later versions, whose fields come after', () => {
  const version3 = Buffer.from(`000300000001000174${'ffffffff'}${'00000000'}${'00000007'}${'ffff'}`, 'hex')
  expect(decodeSubscription(version3)).toEqual(['t'])
  expect(decodeAssignment(Buffer.alloc(0))).toEqual(new Map())
})

it('does not believe counts and lengths', () => {
  for (const hex of ['00', '00007fffffff', '0000000000017fff74']) {
    expect(() => decodeSubscription(Buffer.from(hex, 'hex'))).toThrow(MalformedFrame)
    expect(() => decodeAssignment(Buffer.from(hex, 'hex'))).toThrow(MalformedFrame)
  }
  expect(() => decodeAssignment(Buffer.from('0000000000010001747fffffff', 'hex'))).toThrow(MalformedFrame)
})
