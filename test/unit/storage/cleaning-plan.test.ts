import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { type CleaningLog, planCleaning } from '../../../src/storage/cleaning-plan.ts'
import { isDead, isHeldByControl, liveSegmentBytes } from '../../../src/storage/live-bytes.ts'
import { PartitionLog } from '../../../src/storage/partition-log.ts'
import { Segment } from '../../../src/storage/segment.ts'
import type { Slot } from '../../../src/storage/slot-file.ts'

const slotBytes = 1_000_000
const logs = new Map<number, PartitionLog>()
const logOf = (partition: number) => logs.get(partition)

const makeLog = (id: number, logStart = 0): PartitionLog => {
  const log = new PartitionLog(partitionId(id))
  log.logEnd = 1_000_000
  log.logStart = logStart
  log.durableLogStart = logStart
  logs.set(id, log)
  return log
}

/** A cold segment with one span a partition: bytes and last log age. */
const segmentOf = (
  sequence: number,
  spans: readonly [partition: number, first: number, end: number, bytes: number][],
  age = 0,
) => {
  const header = {
    kind: 'cold',
    logId: '00'.repeat(16),
    sequence,
    salt: 1n,
    slotBytes,
    firstGroup: 0,
    previousCrc: 0,
    logEpoch: 0,
  } as const
  const segment = new Segment({} as Slot, header, 4096)
  for (const [partition, first, end, bytes] of spans) {
    const { row } = segment.beginSpan(partition, first, age)
    segment.spans.setEndOffset(row, end)
    segment.spans.setTotals(row, bytes, -1, age)
    segment.end += bytes
  }
  segment.sealed = true
  segment.hasFooter = true
  return segment
}

const plan = (segments: Segment[], logAge = 1000): number[] => {
  const log: CleaningLog = { segments, slotBytes, logAge, logOf }
  return planCleaning(log).map(({ segment }) => segment.sequence)
}

describe('live bytes', () => {
  it('are what log starts and newer copies leave', () => {
    makeLog(40, 50)
    const segment = segmentOf(1, [[40, 0, 100, 100_000]])
    expect(liveSegmentBytes(segment, logOf)).toBeCloseTo(50_000, 0)
    const { row } = segment.newestSpan(40)!
    segment.spans.setFrom(row, 75)
    expect(liveSegmentBytes(segment, logOf)).toBeCloseTo(25_000, 0)
    segment.spans.setFrom(row, 100)
    expect(liveSegmentBytes(segment, logOf)).toBe(0)
    expect(isDead(segment, logOf)).toBe(true)
    logs.delete(40)
    segment.spans.setFrom(row, 0)
    expect(liveSegmentBytes(segment, logOf)).toBe(0)
  })

  it('are dead only when the log start is on the device', () => {
    const log = makeLog(41, 100)
    log.durableLogStart = 99
    const segment = segmentOf(1, [[41, 0, 100, 1000]])
    expect(isDead(segment, logOf)).toBe(false)
    log.durableLogStart = 100
    expect(isDead(segment, logOf)).toBe(true)
  })

  it('of the log control partition do not count: its records are written again', () => {
    makeLog(0)
    makeLog(42, 100)
    const segment = segmentOf(1, [
      [0, 0, 10, 500],
      [42, 0, 100, 1000],
    ])
    expect(liveSegmentBytes(segment, logOf)).toBe(0)
    expect([isDead(segment, logOf), isHeldByControl(segment, logOf)]).toEqual([false, true])
  })
})

describe('victims', () => {
  it('are those with the fewest live bytes, and none when nothing would be gained', () => {
    makeLog(50)
    const live = (sequence: number, bytes: number) =>
      segmentOf(sequence, [[50, sequence * 100, sequence * 100 + 100, bytes]], 500)
    expect(plan([live(1, 400_000), live(2, 100_000), live(3, 300_000), live(4, 970_000)])).toEqual([2, 3, 1])
    expect(plan([live(1, 950_000), live(2, 600_000)])).toEqual([])
    // batches that leave an eighth of each slot empty leave it empty in a copy too
    expect(plan(Array.from({ length: 30 }, (_, index) => live(index + 1, 860_000)))).toEqual([])
  })

  it('are rather old than young, when there is little between them', () => {
    makeLog(51)
    const aged = (sequence: number, bytes: number, age: number) =>
      segmentOf(sequence, [[51, sequence * 100, sequence * 100 + 100, bytes]], age)
    expect(plan([aged(1, 400_000, 990), aged(2, 450_000, 10), aged(3, 100_000, 990)])).toEqual([3, 2, 1])
  })
})
