import { expect, test } from 'vitest'
import { MAX_SUBSCRIBE_DENY_RULES, subscribeDeny } from '../../../src/config/subscribe-deny.ts'

test('rules name a filter and a reason code, 0x87 when they say nothing', () => {
  const parsed = subscribeDeny.parse('[{ mqtt: a/+/#, reason: 0x80 }, { mqtt: b }, { mqtt: c, reason: 151 }]')
  const rules = [
    { mqtt: 'a/+/#', reason: 0x80 },
    { mqtt: 'b', reason: 0x87 },
    { mqtt: 'c', reason: 0x97 },
  ]
  expect(parsed).toEqual({ value: rules })
  expect(subscribeDeny.parse(subscribeDeny.format(rules))).toEqual(parsed)
})

test.each([
  ['[{ reason: 0x80 }]', '[0].mqtt', 'is missing'],
  ['[{ mqtt: a#b }]', '[0].mqtt', '"a#b": # stands alone in the last level of a topic filter'],
  ['[{ mqtt: a, reason: 1 }]', '[0].reason', '"1" is not one of 0x80, 0x83, 0x87, 0x8f, 0x97'],
  ['[{ mqtt: a, reason: no }]', '[0].reason', '"no" is not one of 0x80, 0x83, 0x87, 0x8f, 0x97'],
])('%s is refused', (text, at, reason) => {
  expect(subscribeDeny.parse(text)).toMatchObject({ problems: [{ at, reason }] })
})

test('too many rules are refused', () => {
  const rules = Array.from({ length: MAX_SUBSCRIBE_DENY_RULES + 1 }, () => ({ mqtt: 'a' }))
  expect(subscribeDeny.parse(JSON.stringify(rules))).toMatchObject({
    problems: [{ reason: expect.stringMatching(/1000/) }],
  })
})
