import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { DiskUsage } from './log.ts'
import { type CommitLogOptions, reservedSlots } from './options.ts'
import type { Segment } from './segment.ts'
import type { SlotPool } from './slot-pool.ts'

const MiB = 1024 * 1024
const daySeconds = 86_400
/** From less than this no rate is told. */
const least = { seconds: 600, bytes: MiB } as const

/** What the data directory occupies of `disk.budget`, and how long the budget lasts at the rate of the data that is in it. */
export const diskUsage = (
  { pool, segments }: { readonly pool: SlotPool; readonly segments: readonly Segment[] },
  checkpoints: CheckpointStore,
  options: CommitLogOptions,
  logAge: number,
  shortage: string | undefined,
): DiskUsage => ({
  logBytes: pool.usedBytes,
  viewBytes: checkpoints.usedBytes(),
  budgetBytes: options.budgetBytes + (options.viewBudgetBytes ?? 0),
  daysHeld: daysHeld(segments, (pool.maxSlots - reservedSlots) * pool.slotBytes, logAge),
  shortage: shortage ?? null,
})

/** Bytes present over the log age that they cover, applied to what all slots but the reserve hold. Null while there is too little to tell. */
export const daysHeld = (segments: readonly Segment[], capacityBytes: number, logAge: number): number | null => {
  let bytes = 0
  let oldestAge = logAge
  for (const { end, spans } of segments) {
    bytes += end
    for (const { firstLogAge } of spans.values()) if (firstLogAge < oldestAge) oldestAge = firstLogAge
  }
  const seconds = logAge - oldestAge
  if (seconds < least.seconds || bytes < least.bytes) return null
  return Math.round(((capacityBytes / bytes) * seconds * 10) / daySeconds) / 10
}
