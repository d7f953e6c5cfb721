import { expect, it } from 'vitest'
import { ExpectedOffsets } from '../../../src/uplink/expected-offsets.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'

const batchOf = (partition: number, records: number) => {
  const record = { timestampMs: 0, key: null, value: Buffer.from('x') }
  return { topic: 't', partition, batch: encodeBatch(Array.from({ length: records }, () => record)) }
}

it('expects records behind those of the transaction before and its marker, and those of one transaction in a row', () => {
  const expected = new ExpectedOffsets()
  expect(expected.of([batchOf(0, 2)])).toBeUndefined()
  expected.committed([batchOf(0, 2), batchOf(1, 3), batchOf(0, 4)], [10, 70, 12])
  const next = [batchOf(1, 1), batchOf(0, 5), batchOf(0, 1), batchOf(1, 1)]
  expect(expected.of(next)).toEqual([74, 17, 22, 75])
  expect(expected.of([batchOf(0, 1), batchOf(2, 1)])).toBeUndefined()
})

it('expects nothing where somebody else writes, until a transaction was alone again', () => {
  const expected = new ExpectedOffsets()
  expected.committed([batchOf(0, 2)], [10])
  expected.committed([batchOf(0, 2)], [15])
  expect(expected.of([batchOf(0, 1)])).toBeUndefined()
  expected.committed([batchOf(0, 2)], [18])
  expect(expected.of([batchOf(0, 1)])).toEqual([21])
  expected.committed([batchOf(0, 1), batchOf(0, 1)], [21, 23])
  expect(expected.of([batchOf(0, 1)])).toBeUndefined()
})
