import { expect, it } from 'vitest'
import { parseDownlink } from '../../../../src/config/downlink.ts'
import { RuleFilter } from '../../../../src/uplink/downlink/rule-filter.ts'

/** The key that the rule gives a record; undefined: it does not take it. */
const keyOf = (rule: object, key: string | null, headers: Readonly<Record<string, string>> = {}) => {
  const parsed = parseDownlink([{ topic: 't', ...rule }])
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  const record = {
    offset: 0,
    timestampMs: 0,
    key: key === null ? null : Buffer.from(key),
    value: null,
    headers: Object.entries(headers).map(([name, value]) => ({ key: name, value: Buffer.from(value) })),
  }
  const found = new RuleFilter(parsed.value[0]!, 'g7').keyOf(record)
  return found && (found.key?.toString() ?? null)
}

it.each([
  ['{gateway}/*', 'g7/pump', 'pump'],
  ['{gateway}/*', 'g7/a/b', 'a/b'],
  ['{gateway}/*', 'g70/pump', undefined],
  ['{gateway}/*', 'g7/', undefined],
  ['{gateway}/*', null, undefined],
  ['*@{gateway}', 'pump@g7', 'pump'],
  ['a*a', 'a', undefined],
  ['{gateway}', 'g7', 'g7'],
  ['{gateway}', 'g7/pump', undefined],
  ['*', 'ö', 'ö'],
])('key %s of %s is %s', (key, of, is) => expect(keyOf({ key }, of)).toBe(is))

it('without a key pattern any key will do, or none', () => {
  expect([keyOf({}, 'a'), keyOf({}, null)]).toEqual(['a', null])
})

it('every header that is named must be there with its value', () => {
  const rule = { header: { gateway: '{gateway}', kind: 'x' } }
  expect(keyOf(rule, 'a', { gateway: 'g7', kind: 'x', more: 'y' })).toBe('a')
  expect(keyOf(rule, 'a', { gateway: 'g7' })).toBe(undefined)
  expect(keyOf(rule, 'a', { gateway: 'g70', kind: 'x' })).toBe(undefined)
  expect(keyOf({ ...rule, key: '{gateway}/*' }, 'g7/a', { gateway: 'g7', kind: 'x' })).toBe('a')
})
