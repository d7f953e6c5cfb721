import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import type { Compaction, Log } from '../../../src/storage/log.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { baseOffsetOf, hasValidCrc, lastOffsetOf, recordCountOf } from '../../../src/wire/kafka/record-batch.ts'
import { decompressRecords } from '../../../src/wire/kafka/records.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { appendWhenRoom, MiB, TestDirectory, topic } from './test-log.ts'

const KiB = 1024
const other = partitionId(33)
/** Seals often: compaction sees sealed segments only. */
const small = { slotBytes: 128 * KiB, budgetBytes: 4 * MiB, commitMaxBytes: 16 * KiB, maxMessageBytes: 32 * KiB }

const compaction = (changes: Partial<Compaction> = {}): Compaction => ({
  minDirtyRatio: 0.1,
  minDirtyBytes: 0,
  minLagMs: 0,
  maxLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 0,
  alsoDeletes: false,
  ...changes,
})

interface Seen {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

const readAll = async (log: Log, from = 0): Promise<{ records: Seen[]; batches: Buffer[] }> => {
  const records: Seen[] = []
  const batches: Buffer[] = []
  const { highWatermark, logStart } = log.offsets(topic)
  let offset = Math.max(from, logStart)
  while (offset < highWatermark) {
    const read = await log.read(topic, offset, 64 * KiB, highWatermark)
    for (const batch of read.batches) {
      expect(hasValidCrc(batch)).toBe(true)
      batches.push(batch)
      const cursor = await decompressRecords(batch, MiB)
      while (cursor.next()) {
        if (cursor.offset < from) continue
        records.push({
          offset: cursor.offset,
          key: cursor.key()!.toString(),
          value: cursor.value()?.toString() ?? null,
        })
      }
    }
    expect(read.nextOffset).toBeGreaterThan(offset)
    offset = read.nextOffset
  }
  return { records, batches }
}

const append = async (log: Log, batch: Buffer, partition = topic): Promise<number> => {
  const { group, baseOffsets } = await appendWhenRoom(log, [{ partition, batch }])
  await log.whenDurable(group)
  return baseOffsets[0]!
}

const record = (key: string, value: string | null) => ({
  timestampMs: 1000,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

/** Fills segments with data of another partition, so that what stands before is sealed. */
const sealed = async (log: Log): Promise<void> => {
  for (let done = 0; done < 2 * small.slotBytes; done += 30_000) {
    await append(log, encodeBatch([record('filler', 'x'.repeat(30_000))]), other)
  }
}

const passed = async (directory: TestDirectory, passes: number): Promise<void> => {
  while (directory.metrics.count('storageCompactions') < passes) await new Promise(resolve => setTimeout(resolve, 5))
}

describe('compaction', () => {
  it('leaves the newest record of each key at its offset, order and other partitions as they were', async () => {
    const directory = new TestDirectory()
    const log = await directory.open(small)
    for (const partition of [topic, other]) log.openPartition(partition)
    log.setCompaction(topic, compaction())
    for (let round = 0; round < 50; round++) {
      await append(
        log,
        encodeBatch([record('a', `a${round}`), record(`b${round % 3}`, `b${round}`), record('c', 'x'.repeat(500))]),
      )
    }
    await append(log, encodeBatch([record('d', 'only')]))
    await sealed(log)
    await passed(directory, 1)
    const { records } = await readAll(log)
    expect(records.map(({ offset, key }) => [offset, key])).toEqual([
      [142, 'b2'],
      [145, 'b0'],
      [147, 'a'],
      [148, 'b1'],
      [149, 'c'],
      [150, 'd'],
    ])
    expect(records[2]!.value).toBe('a49')
    expect(directory.metrics.count('storageCompactedRecords', 'superseded')).toBe(145)
    expect((await readAll(log, 148)).records.map(({ key }) => key)).toEqual(['b1', 'c', 'd'])
    expect(log.gaps()).toEqual([])
    await log.close()
    directory.checkpoints.values.clear()
    const again = await directory.open(small)
    expect((await readAll(again)).records).toEqual(records)
    expect(again.gaps()).toEqual([])
    expect(again.offsets(topic)).toEqual(log.offsets(topic))
    await again.close()
  })

  it('keeps first and last offset of a batch, and the last batch of a producer that may go on, empty', async () => {
    const directory = new TestDirectory()
    const log = await directory.open(small)
    for (const partition of [topic, other]) log.openPartition(partition)
    log.setCompaction(topic, compaction({ isLastOfProducer: (id, baseOffset) => id === 7 && baseOffset === 3 }))
    const producer = (baseSequence: number) => ({ producer: { producerId: 7, producerEpoch: 0, baseSequence } })
    await append(log, encodeBatch([record('a', '1'), record('keep', '1'), record('a', '2')], producer(0)))
    await append(log, encodeBatch([record('a', '3'), record('a', '4')], producer(3)))
    await append(log, encodeBatch([record('a', '5')]))
    await sealed(log)
    await passed(directory, 1)
    const { batches } = await readAll(log)
    expect(batches.map(batch => [baseOffsetOf(batch), lastOffsetOf(batch), recordCountOf(batch)])).toEqual([
      [0, 2, 1],
      [3, 4, 0],
      [5, 5, 1],
    ])
    // a reader that stands within a batch, or in an empty one, goes on
    expect((await readAll(log, 2)).records.map(({ offset }) => offset)).toEqual([5])
    expect((await log.read(topic, 4, KiB, 6)).nextOffset).toBe(6)
    await log.close()
  })

  it('keeps a tombstone for its time, by log age, after the older records went; then it goes', async () => {
    const directory = new TestDirectory()
    let extraMs = 0
    directory.clock = { ...nodeClock, sinceBootMs: () => nodeClock.sinceBootMs() + extraMs }
    const log = await directory.open(small)
    for (const partition of [topic, other]) log.openPartition(partition)
    log.setCompaction(topic, compaction({ deleteRetentionMs: 60_000 }))
    await append(log, encodeBatch([record('gone', 'old'), record('stays', '1')]))
    await append(log, encodeBatch([record('gone', null)]))
    extraMs += 100_000
    await sealed(log)
    await passed(directory, 1)
    expect((await readAll(log)).records.map(({ key, value }) => [key, value])).toEqual([
      ['stays', '1'],
      ['gone', null],
    ])
    extraMs += 50_000
    await sealed(log)
    expect((await readAll(log)).records.length).toBe(2)
    extraMs += 15_000
    const before = directory.metrics.count('storageCompactions')
    await sealed(log)
    await passed(directory, before + 1)
    expect((await readAll(log)).records.map(({ key }) => key)).toEqual(['stays'])
    expect(directory.metrics.count('storageCompactedRecords', 'tombstone')).toBe(1)
    await log.close()
  })

  it('leaves the last batch of the partition, empty if need be, so that readers come to the end', async () => {
    const directory = new TestDirectory()
    const log = await directory.open(small)
    for (const partition of [topic, other]) log.openPartition(partition)
    log.setCompaction(topic, compaction())
    await append(log, encodeBatch([record('gone', 'old')]))
    await append(log, encodeBatch([record('gone', null)]))
    await sealed(log)
    while (directory.metrics.count('storageCompactedRecords', 'tombstone') === 0) await sealed(log)
    // what is counted is not yet published
    const read = () => log.read(topic, 0, KiB, 2)
    while (recordCountOf((await read()).batches[0]!) > 0) await sealed(log)
    const { batches, nextOffset } = await read()
    expect(batches.map(batch => [baseOffsetOf(batch), recordCountOf(batch)])).toEqual([[1, 0]])
    expect(nextOffset).toBe(2)
    await log.close()
  })

  it('looks at no record younger than the lag, nor above the limit of its owner', async () => {
    const directory = new TestDirectory()
    let extraMs = 0
    let limit = 2
    directory.clock = { ...nodeClock, sinceBootMs: () => nodeClock.sinceBootMs() + extraMs }
    const log = await directory.open(small)
    for (const partition of [topic, other]) log.openPartition(partition)
    log.setCompaction(topic, compaction({ minLagMs: 3_600_000, limitOffset: () => limit }))
    for (let round = 0; round < 4; round++) await append(log, encodeBatch([record('a', `${round}`)]))
    await sealed(log)
    await sealed(log)
    expect((await readAll(log)).records.length).toBe(4)
    extraMs += 4_000_000
    await sealed(log)
    await passed(directory, 1)
    expect((await readAll(log)).records.map(({ offset }) => offset)).toEqual([1, 2, 3])
    limit = 10
    await sealed(log)
    await passed(directory, 2)
    expect((await readAll(log)).records.map(({ offset }) => offset)).toEqual([3])
    await log.close()
  })

  it('tells writers when the newest records of all keys fill the budget, and takes internal records and removals still', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ ...small, budgetBytes: 12 * small.slotBytes })
    const internal = partitionId(1)
    for (const partition of [topic, internal]) log.openPartition(partition)
    log.setCompaction(topic, compaction())
    const fill = async (): Promise<void> => {
      for (let key = 0; key < 10_000; key++) await append(log, encodeBatch([record(`k${key}`, 'x'.repeat(8_000))]))
    }
    await expect(fill()).rejects.toMatchObject({ kind: 'policyViolation' })
    const before = log.offsets(topic).highWatermark
    expect((await readAll(log)).records.length).toBe(before)
    log.setCompaction(internal, compaction({ minDirtyBytes: 1000, limitOffset: () => log.offsets(internal).logEnd }))
    // far more than there is room for: the cleaner and the compactor make it again and again
    for (let round = 0; round < 300; round++)
      await append(log, encodeBatch([record('offset', 'y'.repeat(3_000))]), internal)
    log.removePartition(topic)
    await log.whenDurable(log.openGroup)
    log.openPartition(other)
    await sealed(log)
    await log.close()
  })
})

const seeds = process.env['SEED'] === undefined ? [1, 2, 3, 4] : [Number(process.env['SEED'])]

it.each(seeds)(
  'a reader from 0 sees what a plain map holds, over cleaning, crashes and lost caches: seed %i',
  async seed => {
    const random = new SimRandom(seed)
    const directory = new TestDirectory()
    const written: Seen[] = []
    const rules = compaction({ minDirtyRatio: random.pick([0.01, 0.3, 0.6]), deleteRetentionMs: 0 })
    let removed = 0
    for (let life = 0; life < 4; life++) {
      const log = await directory.open({ ...small, budgetBytes: 24 * small.slotBytes })
      for (const partition of [topic, other]) log.openPartition(partition)
      log.setCompaction(topic, rules)
      for (let step = 0; step < 150; step++) {
        if (random.chance(0.3)) {
          await append(log, encodeBatch([record('filler', 'x'.repeat(random.below(25_000)))]), other)
          continue
        }
        const records = Array.from({ length: random.between(1, 8) }, (_, index) => {
          const value = random.chance(0.2) ? null : `${life}-${step}-${index}-`.repeat(random.between(1, 120))
          return { key: `k${random.below(30)}`, value }
        })
        let batch = encodeBatch(records.map(({ key, value }) => record(key, value)))
        if (random.chance(0.3)) batch = await compressBatch(batch, random.pick(['gzip', 'snappy', 'lz4'] as const))
        const base = await append(log, batch)
        expect(base).toBe(written.length)
        for (const [index, each] of records.entries()) written.push({ ...each, offset: base + index })
        if (random.chance(0.05)) await checkReader(log, written, random.below(written.length))
      }
      await checkReader(log, written, 0)
      removed += directory.metrics.count('storageCompactedRecords')
      expect(log.gaps().filter(gap => gap.partition === topic)).toEqual([])
      if (random.chance(0.5)) directory.crash()
      else await log.close()
      if (random.chance(0.4)) directory.checkpoints.values.clear()
    }
    expect(removed).toBeGreaterThan(100)
  },
)

/** Whatever was removed, what is there stands where it stood, and replaying it from `from` on gives what the map holds. */
const checkReader = async (log: Log, written: readonly Seen[], from: number): Promise<void> => {
  const { records } = await readAll(log, from)
  let last = -1
  for (const seen of records) {
    expect(seen.offset).toBeGreaterThan(last)
    expect(seen).toEqual(written[seen.offset])
    last = seen.offset
  }
  const newest = new Map<string, Seen>()
  for (const each of written) if (each.offset >= from) newest.set(each.key, each)
  const replayed = new Map(records.map(each => [each.key, each]))
  for (const [key, expected] of newest) {
    // a tombstone may be there or gone
    if (expected.value === null) expect(replayed.get(key)?.value ?? null).toBeNull()
    else expect(replayed.get(key)).toEqual(expected)
  }
}
