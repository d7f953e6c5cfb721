import { describe, expect, it } from 'vitest'
import { indexBlockBytes } from '../../../src/storage/layout.ts'
import { SegmentSpans } from '../../../src/storage/segment-spans.ts'

const frame = (partition: number, baseOffset: number, position: number, leaderEpoch = 1) => ({
  partition,
  baseOffset,
  position,
  lastOffsetDelta: 9,
  batchBytes: 100,
  maxTimestamp: baseOffset,
  leaderEpoch,
  logAge: 5,
})

/** `partitions` with a frame in each of `stretches` stretches of 64 KiB. */
const filled = (partitions: number, stretches: number): SegmentSpans => {
  const spans = new SegmentSpans()
  spans.keepBlocks()
  for (let stretch = 0; stretch < stretches; stretch++) {
    for (let partition = 0; partition < partitions; partition++) {
      const row = spans.rowOf(partition) ?? spans.add(partition, stretch * 10, 5)
      spans.index(row, frame(partition, stretch * 10, stretch * indexBlockBytes + partition))
    }
  }
  return spans
}

describe('spans of a segment', () => {
  it('keep each row by itself, however many there are', () => {
    const spans = filled(1000, 20)
    for (const partition of [0, 1, 500, 999]) {
      const row = spans.rowOf(partition)!
      expect([spans.partition(row), spans.firstOffset(row), spans.endOffset(row)]).toEqual([partition, 0, 200])
      expect([spans.bytes(row), spans.maxTimestamp(row), spans.epochs(row)]).toEqual([2000, 190, [1, 0]])
      const blocks = spans.blocks(row)!
      expect(blocks.count).toBe(20)
      expect([blocks.firstOffset(7), blocks.position(7)]).toEqual([70, 7 * indexBlockBytes + partition])
      expect([blocks.bytesBefore(7), blocks.entryOf(79), blocks.entryOf(80)]).toEqual([700, 7, 8])
    }
  })

  it('find the stretch that holds an offset among several of the same partition', () => {
    const spans = new SegmentSpans()
    for (const [first, end] of [
      [100, 150],
      [0, 50],
      [200, 200],
    ] as const) {
      spans.setEndOffset(spans.add(7, first, 0), end)
    }
    expect([120, 20, 60, 200].map(offset => spans.rowHolding(7, offset))).toEqual([0, 1, undefined, undefined])
    expect([spans.has(7), spans.has(8), spans.has(0), spans.rowOf(7)]).toEqual([true, false, false, 2])
  })

  it('list epochs that begin behind the first offset, or change', () => {
    const spans = new SegmentSpans()
    spans.keepBlocks()
    const row = spans.add(7, 100, 0)
    expect(spans.epochs(row)).toEqual([])
    spans.index(row, frame(7, 110, 0, 3))
    spans.index(row, frame(7, 120, 0, 3))
    spans.index(row, frame(7, 130, 0, 4))
    expect([spans.epochs(row), spans.newestEpoch(row)]).toEqual([[3, 110, 4, 130], 4])
  })

  it('let go of blocks and keep the rest', () => {
    const spans = filled(3, 4)
    const before = spans.footerBytes
    spans.release()
    expect([spans.hasBlocks, spans.blocks(0), spans.rowOf(2), spans.endOffset(2)]).toEqual([false, undefined, 2, 40])
    spans.takeBlocks(filled(3, 4), new Map([0, 1, 2].map(row => [row, row])))
    expect(spans.footerBytes).toBe(before)
    expect(spans.blocks(2)!.position(3)).toBe(3 * indexBlockBytes + 2)
  })
})
