import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../../../src/core/buffer-pool.ts'
import { BatchBuilder } from '../../../../src/wire/kafka/batch-builder.ts'
import { encodeHeaders } from '../../../../src/wire/kafka/batch-encoding.ts'
import { batchFault, byteLengthOf, nextOffsetOf } from '../../../../src/wire/kafka/record-batch.ts'
import { allRecords, openRecords } from '../../../../src/wire/kafka/records.ts'
import { dice, randomBytes } from './random-values.ts'

const HEADERS = encodeHeaders([
  { key: 'mqtt.client', value: Buffer.from('dev-1') },
  { key: 'empty', value: null },
])
const NO_HEADERS = encodeHeaders([])

describe('BatchBuilder', () => {
  it('copies what it is given, at any first size', () => {
    const roll = dice(9)
    for (const firstBytes of [0, 61, 62, 100, 4096]) {
      const builder = new BatchBuilder(firstBytes)
      const expected = []
      for (let index = 0; index < 300; index++) {
        const key = roll(3) === 0 ? null : randomBytes(roll(60), roll)
        const source = randomBytes(10 + roll(200), roll)
        const [start, end] = [roll(5), source.length - roll(5)]
        const timestampMs = 1732000000000 + roll(2 ** 31) - 2 ** 30 + (roll(50) === 0 ? 2 ** 40 : 0)
        expected.push({
          offset: 7 + index,
          timestampMs,
          key: key && Buffer.from(key),
          value: Buffer.from(source.subarray(start, end)),
        })
        builder.append(timestampMs, key, source, start, end, index % 2 === 0 ? HEADERS : NO_HEADERS)
        source.fill(0)
        key?.fill(0)
      }
      const batch = builder.finish(7, 3)
      expect(batchFault(batch)).toBeUndefined()
      expect(batch.length).toBe(builder.byteLength)
      expect(byteLengthOf(batch)).toBe(batch.length)
      expect(nextOffsetOf(batch)).toBe(307)
      const records = allRecords(openRecords(batch))
      expect(records.map(({ headers, ...rest }) => rest)).toEqual(expected)
      expect(records.map(({ headers }) => headers.length)).toEqual(
        expected.map((_, index) => (index % 2 === 0 ? 2 : 0)),
      )
      expect(builder.maxTimestampMs).toBe(Math.max(...expected.map(({ timestampMs }) => timestampMs)))
    }
  })

  it('can go on after finish, and starts anew after reset', () => {
    const builder = new BatchBuilder(64)
    builder.append(1000, null, Buffer.from('a'), 0, 1, NO_HEADERS)
    const first = Buffer.from(builder.finish(0, 1))
    builder.append(1001, null, Buffer.from('b'), 0, 1, NO_HEADERS)
    expect(allRecords(openRecords(builder.finish(0, 1))).map(({ value }) => value?.toString())).toEqual(['a', 'b'])
    builder.reset()
    expect(builder.count).toBe(0)
    builder.append(1000, null, Buffer.from('a'), 0, 1, NO_HEADERS)
    expect(builder.finish(0, 1)).toEqual(first)
  })

  it('borrows from a pool what it needs beyond its own buffer, and gives it back', () => {
    const pool = new BufferPool(1 << 20)
    const one = new BatchBuilder(100, pool)
    const other = new BatchBuilder(100, pool)
    one.append(1, null, Buffer.alloc(50_000, 1), 0, 50_000, NO_HEADERS)
    const borrowed = one.finish(0, 0).buffer
    other.append(1, null, Buffer.alloc(50_000, 2), 0, 50_000, NO_HEADERS)
    expect(other.finish(0, 0).buffer, 'two at a time have one each').not.toBe(borrowed)
    one.reset()
    one.append(1, null, Buffer.from('a'), 0, 1, NO_HEADERS)
    const small = one.finish(0, 0)
    expect(small.buffer).not.toBe(borrowed)
    expect(batchFault(small)).toBeUndefined()
    other.append(1, null, Buffer.alloc(20_000, 3), 0, 20_000, NO_HEADERS)
    const grown = other.finish(0, 0)
    expect(batchFault(grown)).toBeUndefined()
    expect(allRecords(openRecords(grown)).map(({ value }) => [value!.length, value![0]])).toEqual([
      [50_000, 2],
      [20_000, 3],
    ])
  })

  it('tells a null value from an empty one', () => {
    const builder = new BatchBuilder()
    builder.append(1, Buffer.alloc(0), Buffer.from('x'), 1, 1, NO_HEADERS)
    builder.append(1, null, null, 0, 0, NO_HEADERS)
    const values = allRecords(openRecords(builder.finish(0, 0))).map(({ key, value }) => [key?.length, value?.length])
    expect(values).toEqual([
      [0, 0],
      [undefined, undefined],
    ])
  })
})
