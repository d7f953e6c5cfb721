import { describe, expect, test } from 'vitest'
import { editDistance, nearestWord } from '../../../src/config/nearest-word.ts'
import {
  bytes,
  DAY_MS,
  duration,
  formatBytes,
  formatDuration,
  GiB,
  integer,
  LONG_MAX,
  MiB,
  ratio,
  seconds,
} from '../../../src/config/quantities.ts'
import { share, shareOf } from '../../../src/config/share.ts'
import { slotBytesOf } from '../../../src/config/slot-bytes.ts'
import { boolean } from '../../../src/config/value-types.ts'

const parsedValue = (parsed: { value: unknown } | { problems: unknown }) =>
  'value' in parsed ? parsed.value : 'problem'

describe('quantities', () => {
  test.each([
    ['1GiB', GiB],
    ['512MiB', 512 * MiB],
    ['10k', 10_240],
    ['10 kb', 10_000],
    ['1.5m', 1.5 * MiB],
    ['7', 7],
    ['7b', 7],
    ['1.5', 'problem'],
    ['-1', 'problem'],
    ['1e3', 'problem'],
    ['10 parsecs', 'problem'],
    ['', 'problem'],
  ])('bytes %j = %s', (text, value) => expect(parsedValue(bytes().parse(text))).toBe(value))

  test.each([
    ['7d', 7 * DAY_MS],
    ['5s', 5000],
    ['100ms', 100],
    ['100', 100],
    ['1.5h', 5_400_000],
    ['2w', 14 * DAY_MS],
    ['1y', 'problem'],
  ])('duration %j = %s', (text, value) => expect(parsedValue(duration().parse(text))).toBe(value))

  test.each([
    ['60', 60_000],
    ['60s', 60_000],
    ['5m', 300_000],
    ['0', 0],
    ['65535', 65_535_000],
    ['65536', 'problem'],
    ['1500ms', 'problem'],
  ])('seconds %j = %s', (text, value) => expect(parsedValue(seconds({ max: 65_535 }).parse(text))).toBe(value))

  test("no limit is Infinity inside and Kafka's number outside", () => {
    const long = duration({ unlimited: LONG_MAX })
    expect([parsedValue(long.parse(LONG_MAX)), parsedValue(long.parse('unlimited'))]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ])
    expect(long.formatPlain(Number.POSITIVE_INFINITY)).toBe('9223372036854775807')
    expect(parsedValue(duration({ unlimited: '-1' }).parse('-1'))).toBe(Number.POSITIVE_INFINITY)
    expect(parsedValue(duration().parse('unlimited'))).toBe('problem')
  })

  test('out of range names the bound', () => {
    expect(integer({ min: 1, max: 9 }).parse('10')).toMatchObject({ problems: [{ nearest: '9' }] })
    expect(integer({ min: 1, max: 9 }).parse('0')).toMatchObject({ problems: [{ nearest: '1' }] })
  })

  test('texts parse back to the same value', () => {
    for (const value of [0, 1, 999, 1024, 1025, 3 * MiB, GiB, 604_800_000, 604_800_001]) {
      expect(parsedValue(bytes().parse(formatBytes(value)))).toBe(value)
      expect(parsedValue(duration().parse(formatDuration(value)))).toBe(value)
    }
  })

  test('ratios and booleans', () => {
    expect([parsedValue(ratio.parse('0.5')), parsedValue(ratio.parse('.5')), parsedValue(ratio.parse('2'))]).toEqual([
      0.5,
      0.5,
      'problem',
    ])
    expect([parsedValue(boolean.parse('TRUE')), boolean.parse('yes')]).toMatchObject([
      true,
      { problems: [{ nearest: 'true' }] },
    ])
  })
})

describe('shares', () => {
  const budget = share(64 * MiB)

  test('bytes are bytes, percent are of the whole, a default has a bound', () => {
    expect(shareOf({ bytes: 7 }, 100)).toBe(7)
    expect(shareOf({ percent: 50 }, 2 * GiB)).toBe(GiB)
    expect(shareOf({ percent: 50, atMostBytes: MiB }, 2 * GiB)).toBe(MiB)
  })

  test.each(['0%', '96%', '-1%', '1MiB', '%'])('%s is refused', text =>
    expect(parsedValue(budget.parse(text))).toBe('problem'),
  )

  test('slots are a 64th of the budget within 4 and 64 MiB', () => {
    expect([64 * MiB, GiB, 8 * GiB].map(slotBytesOf)).toEqual([4 * MiB, 16 * MiB, 64 * MiB])
  })
})

describe('nearest word', () => {
  test('counts edits, a swap as one', () => {
    expect([editDistance('', 'abc'), editDistance('debgu', 'debug'), editDistance('kitten', 'sitting')]).toEqual([
      3, 1, 3,
    ])
  })

  test('is undefined when nothing is near', () => {
    expect(nearestWord('commit.linger', ['commit.linger.ms', 'gaps.max'])).toBe('commit.linger.ms')
    expect(nearestWord('zebra', ['commit.linger.ms'])).toBeUndefined()
  })
})
