import { expect, it } from 'vitest'
import { assignment, endPoint, oneOfWords, startPoint, wholeNumber } from '../../../src/cli/option-values.ts'

it.each([
  ['1', 1],
  ['9', 9],
  ['007', 7],
])('takes %s for a whole number', (text, value) => expect(wholeNumber(1, 9)(text)).toBe(value))

it.each([
  ['0', 1],
  ['-3', 1],
  ['10', 9],
  ['2.6', 3],
  ['1e3', 9],
  ['5x', 5],
  ['many', 1],
  ['', 1],
])('refuses %j where 1 to 9 is expected; nearest: %i', (text, nearest) =>
  expect(() => wholeNumber(1, 9)(text)).toThrow(`a whole number from 1 to 9 is expected; nearest: ${nearest}.`),
)

it('names the word that was meant', () => {
  const codec = oneOfWords(['none', 'gzip', 'zstd'])
  expect(codec('gzip')).toBe('gzip')
  expect(() => codec('gizp')).toThrow('one of none, gzip, zstd is expected; nearest: gzip.')
  expect(() => codec('a long sentence')).toThrow('nearest: none.')
})

it.each([
  ['earliest', { timestamp: -2 }],
  ['latest', { timestamp: -1 }],
  ['0', { offset: 0 }],
  ['9007199254740991', { offset: Number.MAX_SAFE_INTEGER }],
  ['2026-05-01T12:00:00Z', { timestamp: Date.UTC(2026, 4, 1, 12) }],
  ['2026-05-01', { timestamp: Date.UTC(2026, 4, 1) }],
  // a negative time would be one of the special ones
  ['1969-12-31T23:59:59.999Z', { timestamp: 0 }],
])('reads %s as a place to start from', (text, point) => expect(startPoint(text)).toEqual(point))

it.each(['9007199254740992', '-1', 'x1', '2026-99-01', 'yesterday', '', 'earlist'])(
  'refuses %j as a place to start from',
  text => expect(() => startPoint(text)).toThrow(/nearest: /),
)

it('reads the end, an offset or a time as a place to stop at', () => {
  expect(endPoint('end')).toEqual({ timestamp: -1 })
  expect(endPoint('7')).toEqual({ offset: 7 })
  expect(endPoint('2026-05-01')).toEqual({ timestamp: Date.UTC(2026, 4, 1) })
  for (const text of ['earliest', 'latest', '-1', 'toString']) expect(() => endPoint(text)).toThrow('nearest: end')
})

it('collects name=value; only the first = parts them', () => {
  const take = assignment('a=b')
  expect(take('x==1', take('a='))).toEqual([
    ['a', ''],
    ['x', '=1'],
  ])
  for (const text of ['=x', 'x', '']) expect(() => take(text)).toThrow('such as a=b')
})
