import { expect, it } from 'vitest'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { RandomAccessFile } from '../../../src/platform/files.ts'
import { BlockCache } from '../../../src/storage/block-cache.ts'
import { indexBlockBytes as block } from '../../../src/storage/layout.ts'
import { Segment } from '../../../src/storage/segment.ts'
import type { SlotHeader } from '../../../src/storage/slot.ts'
import type { Slot } from '../../../src/storage/slot-file.ts'

const blocksPerRead = 4

/** A cache of so many blocks, a sealed segment of 64 blocks, and the blocks of each read of it. */
const stored = (blocks: number) => {
  const reads: { first: number; count: number }[] = []
  const file = {
    read: async (target: Uint8Array, position: number) => {
      reads.push({ first: position / block, count: target.length / block })
      return target.length
    },
  } as RandomAccessFile
  const header = {
    kind: 'hot',
    sequence: 7,
    slotBytes: 64 * block,
    firstGroup: 1,
    previousCrc: 0,
    salt: 5n,
    logEpoch: 0,
  }
  const segment = new Segment({ file } as Slot, { ...header, logId: '' } as SlotHeader, 64 * block)
  const cache = new BlockCache(blocks * block, new MemoryBudget(blocks * 2 * block), new Metrics())
  const load = (first: number, end = first + 1) => cache.load(segment, first * block, 1, end * block)
  const has = (index: number) => cache.window(segment, index * block, 1) !== undefined
  return { reads, segment, cache, load, has }
}

it('pushes out what was used longest ago, and not what a reader is about to come to', async () => {
  const { cache, segment, load, has } = stored(8)
  await load(0, 4)
  await load(10, 13)
  cache.ahead(segment, 0, 4 * block)
  await load(20, 24)
  expect([1, 2, 3].map(has)).toEqual([true, true, true])
  expect(has(11)).toBe(false)
})

it('begins one read of what a crowd comes to next, and leaves room for what it is busy with', async () => {
  const { cache, segment, reads, load, has } = stored(32)
  await load(0, 4)
  for (let consumer = 0; consumer < 10; consumer++) {
    cache.prefetch(segment, 4 * block)
    await load(3)
    await new Promise(resolve => setImmediate(resolve))
  }
  // three quarters of half of the cache, in whole reads
  expect(reads.slice(1)).toEqual([4, 8, 12].map(first => ({ first, count: blocksPerRead })))
  expect(has(0)).toBe(true)
})

it('keeps segments apart, and gives all of one back', async () => {
  const { cache, segment, load, has } = stored(8)
  const cold = new Segment(segment.slot, { ...segment.header, kind: 'cold' }, 64 * block)
  await load(0)
  await cache.load(cold, 0, 1, block)
  cache.drop(segment)
  expect(has(0)).toBe(false)
  expect(cache.window(cold, 0, 1)).toBeDefined()
})
