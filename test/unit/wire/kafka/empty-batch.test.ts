import { expect, test } from 'vitest'
import { emptyBatch } from '../../../../src/wire/kafka/empty-batch.ts'
import { baseOffsetOf, byteLengthOf, hasValidCrc, lastOffsetOf } from '../../../../src/wire/kafka/record-batch.ts'
import { openRecords } from '../../../../src/wire/kafka/records.ts'

test('a batch without records answers for all offsets of a stretch', () => {
  for (const [first, last] of [
    [0, 0],
    [17, 4000],
    [2 ** 33, 2 ** 33 + 5],
  ] as const) {
    const batch = emptyBatch(first, last)
    expect([baseOffsetOf(batch), lastOffsetOf(batch)]).toEqual([first, last])
    expect(byteLengthOf(batch)).toBe(batch.length)
    expect(hasValidCrc(batch)).toBe(true)
    expect(openRecords(batch).next()).toBe(false)
  }
})

test('a stretch that no batch can span is cut', () => {
  expect(lastOffsetOf(emptyBatch(5, 2 ** 40))).toBe(5 + 0x7fffffff)
})
