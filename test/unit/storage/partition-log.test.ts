import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { PartitionLog } from '../../../src/storage/partition-log.ts'
import { Segment } from '../../../src/storage/segment.ts'
import type { SlotKind } from '../../../src/storage/slot.ts'
import type { Slot } from '../../../src/storage/slot-file.ts'

const spanIn = (kind: SlotKind, sequence: number, first: number, end: number, epochs: number[] = []) => {
  const header = { kind, logId: '', sequence, salt: 0n, slotBytes: 0, firstGroup: 0, previousCrc: 0, logEpoch: 0 }
  const segment = new Segment({} as Slot, header, 4096)
  const span = segment.beginSpan(40, first, 0)
  segment.spans.setEndOffset(span.row, end)
  for (let at = 0; at < epochs.length; at += 2) segment.spans.addEpoch(span.row, epochs[at]!, epochs[at + 1]!)
  return span
}

const shown = (log: PartitionLog): string[] =>
  [...log.spans].map(({ segment, from, endOffset }) => `${segment.name} ${from}-${endOffset}`)

describe('spans of a partition', () => {
  it('are found by offset, and so is where the first one begins', () => {
    const log = new PartitionLog(partitionId(40))
    const spans = Array.from({ length: 21 }, (_, index) => spanIn('hot', index, index * 10, index * 10 + 10))
    for (const span of spans) log.addSpan(span)
    for (let gone = 0; gone <= 21; gone++) {
      expect(log.spans.firstOffset).toBe(spans[gone]?.firstOffset ?? Number.POSITIVE_INFINITY)
      for (let offset = 0; offset < 220; offset += 5) {
        const expected = Math.min(Math.max(0, Math.floor(offset / 10) - gone), 21 - gone)
        expect(log.spanFrom(offset)).toBe(expected)
      }
      if (gone < 21) log.spans.removeSpan(spans[gone]!)
    }
  })
})

describe('copies of spans', () => {
  it('are read in place of what they copy, in part or in whole', () => {
    const log = new PartitionLog(partitionId(40))
    log.logEnd = 1000
    log.highWatermark = 1000
    const hot = [spanIn('hot', 1, 0, 100), spanIn('hot', 2, 100, 200), spanIn('hot', 5, 200, 300)]
    for (const span of hot) log.addSpan(span)
    log.supersede(spanIn('cold', 1, 0, 60))
    expect(shown(log)).toEqual(['cold/1 0-60', 'hot/1 60-100', 'hot/2 100-200', 'hot/5 200-300'])
    log.supersede(spanIn('cold', 2, 60, 200))
    expect(shown(log)).toEqual(['cold/1 0-60', 'cold/2 60-200', 'hot/5 200-300'])
    log.supersede(spanIn('cold', 3, 0, 200))
    expect(shown(log)).toEqual(['cold/3 0-200', 'hot/5 200-300'])
    expect([0, 59, 199, 200, 299].map(offset => log.spanFrom(offset))).toEqual([0, 0, 0, 1, 1])
  })

  it('answer below the log start too, for what is dead there', () => {
    const log = new PartitionLog(partitionId(40))
    log.logEnd = 300
    log.advanceLogStart(150)
    log.addSpan(spanIn('hot', 1, 100, 200))
    log.supersede(spanIn('cold', 1, 150, 180))
    expect(shown(log)).toEqual(['cold/1 150-180', 'hot/1 180-200'])
    log.supersede(spanIn('cold', 2, 250, 250))
    expect(shown(log)).toHaveLength(2)
  })

  it('do not show a leader epoch twice', () => {
    const log = new PartitionLog(partitionId(40))
    log.logEnd = 200
    log.highWatermark = 200
    log.addSpan(spanIn('hot', 1, 0, 200, [1, 0, 2, 50, 3, 150]))
    log.supersede(spanIn('cold', 1, 0, 100, [1, 0, 2, 50]))
    expect(log.leaderEpochs()).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 2, startOffset: 50 },
      { epoch: 3, startOffset: 150 },
    ])
  })
})
