import { expect, it, vi } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { AppendSpace } from '../../../src/storage/append-space.ts'
import type { CommitPipeline } from '../../../src/storage/commit-pipeline.ts'
import { reservedSlots } from '../../../src/storage/options.ts'
import { PartitionLog } from '../../../src/storage/partition-log.ts'
import type { SegmentWriter } from '../../../src/storage/segment-writer.ts'
import type { SlotPool } from '../../../src/storage/slot-pool.ts'
import { MiB, topic } from './test-log.ts'

const slotBytes = 4 * MiB

/** A log with so many slots beside the reserve, so many bytes on their way and no room in the active segment. */
const given = (left: number, waitingBytes: number) => {
  let nowMs = 1000
  const pool = { outOfSpace: false, available: reservedSlots + left, freeCount: 0, slotBytes }
  const pipeline = { waitingBytes, ackableGroup: 7, pump: () => undefined, hasten: vi.fn() }
  const metrics = new Metrics()
  const space = new AppendSpace(
    pool as unknown as SlotPool,
    { active: undefined, activeRoomBytes: 0 } as unknown as SegmentWriter,
    pipeline as unknown as CommitPipeline,
    { ...nodeClock, monotonicMs: () => nowMs },
    metrics,
    () => ({ soon: () => undefined, internalRefused: () => undefined, isExhausted: false }),
  )
  const outcome = (bytes: number, partition = topic): string => {
    try {
      space.checkOne(bytes, new PartitionLog(partition))
      return 'taken'
    } catch (error) {
      return (error as { kind: string }).kind
    }
  }
  return { space, pool, pipeline, metrics, outcome, pass: (ms: number) => void (nowMs += ms) }
}

it('takes what fits beside what is under way, and one batch of any size when nothing is', () => {
  expect(given(1, 0).outcome(slotBytes / 2)).toBe('taken')
  expect(given(1, MiB).outcome(MiB)).toBe('taken')
  expect(given(1, MiB).outcome(MiB + 1)).toBe('spaceAwaited')
  expect(given(2, 3 * MiB).outcome(MiB)).toBe('taken')
})

it('never tells a client to go away while only the next sync is waited for', () => {
  const { outcome, pass, pipeline, space, metrics } = given(1, 2 * MiB)
  expect(outcome(1)).toBe('spaceAwaited')
  pass(60_000)
  expect(outcome(1)).toBe('spaceAwaited')
  expect(space.shortage).toBeUndefined()
  expect(metrics.count('storageFull')).toBe(0)
  expect(pipeline.hasten, 'the sync is hastened').toHaveBeenCalledWith(7)
  pipeline.waitingBytes = 0
  expect(outcome(1)).toBe('taken')
})

it('waits five seconds for a slot, then refuses and says so; internal records have one more', () => {
  const { outcome, pass, pool, space, metrics } = given(0, 0)
  expect(outcome(1)).toBe('spaceAwaited')
  expect(outcome(1, partitionId(1))).toBe('taken')
  pass(4999)
  expect(outcome(1)).toBe('spaceAwaited')
  pass(1)
  expect(outcome(1)).toBe('storageFull')
  expect(space.shortage).toMatch(/disk.budget/)
  expect(metrics.count('storageFull')).toBe(1)
  pool.available++
  space.changed()
  expect(space.shortage).toBeUndefined()
  pool.available--
  expect(outcome(1)).toBe('spaceAwaited')
})
