import { describe, expect, it } from 'vitest'
import { judgeBatch, maxUnpackedBytes, rewriteBatch } from '../../../src/storage/compact-batch.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import {
  AT,
  baseSequenceOf,
  baseTimestampOf,
  codecOf,
  hasValidCrc,
  LOG_APPEND_TIME_BIT,
  lastOffsetOf,
  maxTimestampOf,
  producerIdOf,
  recordCountOf,
  seal,
  stamp,
} from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, decompressRecords } from '../../../src/wire/kafka/records.ts'

const record = (index: number) => ({
  timestampMs: 1000 + 10 * index,
  key: index === 3 ? null : Buffer.from(`k${index}`),
  value: index === 4 ? null : Buffer.from(`value ${index} `.repeat(20)),
  headers: [{ key: 'h', value: Buffer.from(`${index}`) }],
})
const producer = { producerId: 9, producerEpoch: 2, baseSequence: 77 }

const sample = (): Buffer => {
  const batch = encodeBatch([0, 1, 2, 3, 4].map(record), { producer })
  stamp(batch, 500, 3)
  return batch
}

const keepOnly =
  (...offsets: number[]) =>
  (_key: Buffer | null, _isTombstone: boolean, offset: number) =>
    offsets.includes(offset) ? undefined : ('superseded' as const)

describe('a batch that is compacted', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('keeps everything but records: %s', async codec => {
    const batch = codec === 'none' ? sample() : await compressBatch(sample(), codec)
    const judged = (await judgeBatch(batch, keepOnly(501, 502)))!
    const rewritten = await rewriteBatch(batch, judged)
    expect(hasValidCrc(rewritten)).toBe(true)
    expect([lastOffsetOf(rewritten), recordCountOf(rewritten), codecOf(rewritten)]).toEqual([504, 2, codecOf(batch)])
    expect([producerIdOf(rewritten), baseSequenceOf(rewritten)]).toEqual([9, 77])
    expect([baseTimestampOf(rewritten), maxTimestampOf(rewritten)]).toEqual([1000, 1020])
    const before = allRecords(await decompressRecords(batch, 1 << 20))
    expect(allRecords(await decompressRecords(rewritten, 1 << 20))).toEqual([before[1], before[2]])
  })

  it('says why records go, and which tombstones stay', async () => {
    const judged = (await judgeBatch(sample(), (key, isTombstone, offset) =>
      key === null ? 'keyless' : offset === 500 ? 'superseded' : isTombstone && offset > 999 ? 'tombstone' : undefined,
    ))!
    expect([judged.kept, judged.tombstones]).toEqual([3, 1])
    expect([...judged.removed]).toEqual([
      ['superseded', 1],
      ['keyless', 1],
    ])
  })

  it('may be left empty, and is the same when nothing goes', async () => {
    const batch = await compressBatch(sample(), 'gzip')
    const empty = await rewriteBatch(batch, (await judgeBatch(batch, keepOnly()))!)
    expect([recordCountOf(empty), lastOffsetOf(empty), codecOf(empty), maxTimestampOf(empty)]).toEqual([0, 504, 0, -1])
    expect(hasValidCrc(empty)).toBe(true)
    expect(allRecords(await decompressRecords(empty, 100))).toEqual([])
    expect(await rewriteBatch(batch, (await judgeBatch(batch, () => undefined))!)).toBe(batch)
  })

  it('keeps the append time of its records', async () => {
    const batch = sample()
    batch.writeInt16BE(LOG_APPEND_TIME_BIT, AT.attributes)
    seal(batch)
    const rewritten = await rewriteBatch(batch, (await judgeBatch(batch, keepOnly(500)))!)
    expect(maxTimestampOf(rewritten)).toBe(1040)
  })

  it('is left alone when it cannot be taken apart, or unpacks to too much', async () => {
    const torn = await compressBatch(sample(), 'gzip')
    torn.fill(0xff, 70, 90)
    expect(await judgeBatch(torn, keepOnly())).toBeUndefined()
    const huge = encodeBatch([{ ...record(0), value: Buffer.alloc(maxUnpackedBytes) }])
    expect(await judgeBatch(await compressBatch(huge, 'gzip'), keepOnly())).toBeUndefined()
  })
})
