import { describe, expect, it } from 'vitest'
import { MalformedFrame } from '../../../../src/core/malformed-frame.ts'
import { compressBatch, encodeBatch, type NewRecord } from '../../../../src/wire/kafka/batch-encoding.ts'
import * as batchHeader from '../../../../src/wire/kafka/record-batch.ts'
import { allRecords, decompressRecords, openRecords } from '../../../../src/wire/kafka/records.ts'
import { dice, randomBytes } from './random-values.ts'

/** The same batch as kafkajs 2.2.4 encodes it (its leader epoch 0, and what it has for a producer). */
const BY_KAFKAJS =
  '0000000000000000000000530000000002d7b44d9300000000000200000193433ea80000000193433eaddc' +
  '0000000000000fa000020000000a0000000314000000046b31047631001a00b8170201047632020268027810000504046b330100'

const RECORDS: readonly NewRecord[] = [
  { timestampMs: 1732000000000, key: Buffer.from('k1'), value: Buffer.from('v1') },
  { timestampMs: 1732000001500, key: null, value: Buffer.from('v2'), headers: [{ key: 'h', value: Buffer.from('x') }] },
  { timestampMs: 1731999999997, key: Buffer.from('k3'), value: null },
]
const PRODUCER = { producerId: 4000, producerEpoch: 2, baseSequence: 10 }

function sampleBatch(): Buffer {
  const batch = encodeBatch(RECORDS, { producer: PRODUCER })
  batchHeader.stamp(batch, 0, 0)
  return batch
}

describe('a batch', () => {
  it('is byte for byte that of another client', () => {
    expect(sampleBatch().toString('hex')).toBe(BY_KAFKAJS)
  })

  it('says what its header says, wherever it lies in a buffer', () => {
    const buffer = Buffer.concat([Buffer.alloc(7), sampleBatch(), Buffer.alloc(3)])
    batchHeader.stamp(buffer, 2 ** 40 + 5, 9, 7)
    expect(batchHeader.byteLengthOf(buffer, 7)).toBe(buffer.length - 10)
    expect(batchHeader.baseOffsetOf(buffer, 7)).toBe(2 ** 40 + 5)
    expect(batchHeader.lastOffsetOf(buffer, 7)).toBe(2 ** 40 + 7)
    expect(batchHeader.nextOffsetOf(buffer, 7)).toBe(2 ** 40 + 8)
    expect(batchHeader.leaderEpochOf(buffer, 7)).toBe(9)
    expect(batchHeader.baseTimestampOf(buffer, 7)).toBe(1732000000000)
    expect(batchHeader.maxTimestampOf(buffer, 7)).toBe(1732000001500)
    expect(batchHeader.producerIdOf(buffer, 7)).toBe(4000)
    expect(batchHeader.producerEpochOf(buffer, 7)).toBe(2)
    expect(batchHeader.baseSequenceOf(buffer, 7)).toBe(10)
    expect(batchHeader.recordCountOf(buffer, 7)).toBe(3)
    expect(batchHeader.codecOf(buffer, 7)).toBe(0)
    expect(batchHeader.isTransactional(buffer, 7)).toBe(false)
    expect(batchHeader.batchFault(buffer, 7, buffer.length - 3)).toBeUndefined()
  })

  it('yields the records that went in', () => {
    const batch = sampleBatch()
    batchHeader.stamp(batch, 100, 1)
    const records = allRecords(openRecords(batch))
    expect(records).toEqual(RECORDS.map((record, index) => ({ headers: [], ...record, offset: 100 + index })))
  })

  it('has attribute bits', () => {
    const batch = encodeBatch(RECORDS, { producer: PRODUCER, transactional: true })
    expect(batchHeader.isTransactional(batch)).toBe(true)
    expect(batchHeader.isControl(batch)).toBe(false)
    batch.writeInt16BE(batchHeader.LOG_APPEND_TIME_BIT, batchHeader.AT.attributes)
    batchHeader.seal(batch)
    expect(batchHeader.batchFault(batch)).toBeUndefined()
    expect(allRecords(openRecords(batch)).map(({ timestampMs }) => timestampMs)).toEqual(Array(3).fill(1732000001500))
  })
})

describe.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('compressed by %s', codec => {
  it('yields the same records, within a limit', async () => {
    const many = Array.from({ length: 500 }, () => RECORDS).flat()
    const plain = encodeBatch(many, { producer: PRODUCER })
    const batch = await compressBatch(plain, codec)
    expect(batch.length).toBeLessThan(plain.length / 2)
    expect(batchHeader.batchFault(batch)).toBeUndefined()
    expect(allRecords(await decompressRecords(batch, plain.length))).toEqual(allRecords(openRecords(plain)))
    await expect(decompressRecords(batch, 1000)).rejects.toThrow(MalformedFrame)
    expect(() => openRecords(batch)).toThrow(MalformedFrame)
  })
})

describe('batchFault', () => {
  const change = (position: number, value: number, sealed = true) => {
    const batch = sampleBatch()
    batch[position] = value
    if (sealed) batchHeader.seal(batch, batch.length)
    return batchHeader.batchFault(batch)
  }

  it('sees every flipped bit after the leader epoch', () => {
    const { length } = sampleBatch()
    for (let position = batchHeader.AT.magic; position < length; position++) {
      const batch = sampleBatch()
      batch[position] = batch[position]! ^ 0x10
      expect(batchHeader.batchFault(batch)).toBeDefined()
    }
  })

  it('names what is wrong', () => {
    expect(change(batchHeader.AT.magic, 1)).toBe('magic')
    expect(change(batchHeader.AT.length, 1)).toBe('truncated')
    expect(change(batchHeader.AT.length, 0xff)).toBe('truncated')
    expect(change(batchHeader.AT.crc, 0, false)).toBe('checksum')
    expect(change(batchHeader.AT.recordCount + 3, 2)).toBe('count')
    expect(change(batchHeader.AT.lastOffsetDelta + 3, 9)).toBe('count')
    expect(change(batchHeader.AT.maxTimestamp, 0x7f)).toBe('range')
    expect(change(batchHeader.AT.producerId, 0xff)).toBe('range')
  })

  it('finds every truncation', () => {
    const batch = sampleBatch()
    for (let length = 0; length < batch.length; length++) {
      expect(batchHeader.batchFault(batch.subarray(0, length))).toBe('truncated')
      expect(batchHeader.batchFault(batch, 0, length)).toBe('truncated')
    }
  })
})

describe('records from outside', () => {
  const withBody = (hex: string, count: number) => {
    const batch = Buffer.concat([sampleBatch().subarray(0, batchHeader.HEADER_BYTES), Buffer.from(hex, 'hex')])
    batch.writeInt32BE(batch.length - batchHeader.LENGTH_OVERHEAD_BYTES, batchHeader.AT.length)
    batch.writeInt32BE(count, batchHeader.AT.recordCount)
    return batch
  }

  it.each([
    ['fewer records than counted', '0c000000010100', 2],
    ['more bytes than records', '0c00000001010000', 1],
    ['a record longer than the batch', '7e000000010100', 1],
    ['a negative record length', '01000000010100', 1],
    ['a key beyond the record', '0c0000007e0100', 1],
    ['a key of length -2', '0c000000030100', 1],
    ['a header beyond the record', '0c000000010102', 1],
    ['a negative header count', '0c000000010101', 1],
    ['bytes left over in a record', '0e00000001010000', 1],
    ['a count that cannot fit', '0c000000010100', 0x7fffffff],
  ])('refuses %s', (_name, hex, count) => {
    expect(() => allRecords(openRecords(withBody(hex, count)))).toThrow(MalformedFrame)
  })

  it('takes the least record', () => {
    const [record] = allRecords(openRecords(withBody('0c000000010100', 1)))
    expect(record).toMatchObject({ key: null, value: null, headers: [] })
  })

  it('throws nothing but MalformedFrame at damaged bytes', () => {
    const roll = dice(5)
    for (let run = 0; run < 3000; run++) {
      const batch = sampleBatch()
      if (run % 3 === 0) randomBytes(batch.length - 61, roll).copy(batch, 61)
      batch[57 + roll(batch.length - 57)] = [0xff, 0x80, 0x7f, 0x01, roll(256)][roll(5)]!
      try {
        allRecords(openRecords(batch))
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame)
      }
    }
  })

  it('a cursor reads parts in any order, and none', () => {
    const cursor = openRecords(sampleBatch())
    expect(cursor.next()).toBe(true)
    expect(cursor.next()).toBe(true)
    expect(cursor.headers()).toEqual([{ key: 'h', value: Buffer.from('x') }])
    expect(cursor.key()).toBeNull()
    expect(cursor.value()?.toString()).toBe('v2')
    expect(cursor.next()).toBe(true)
    expect(cursor.offset).toBe(2)
    expect(cursor.value()).toBeNull()
    expect(cursor.next()).toBe(false)
  })
})
