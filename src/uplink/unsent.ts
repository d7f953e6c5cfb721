import type { Broker } from '../broker/broker.ts'
import type { PartitionId } from '../core/brand.ts'
import type { Unsent, UnsentReason } from '../state/uplink.ts'
import type { Gap } from '../storage/log.ts'

/** Offsets `first` to below `end` of a partition, of which so many records were sent. */
export interface Stretch {
  readonly first: number
  readonly end: number
  readonly records: number
}

/** Why those that were not sent were not: what a gap record names, what the log start has passed, and what is no record. */
export const unsentOf = ({ first, end, records }: Stretch, logStart: number, gaps: readonly Gap[]): Unsent => {
  const reasons: Partial<Record<UnsentReason, number>> = {}
  let left = end - first - records
  const count = (reason: UnsentReason, offsets: number): void => {
    const counted = Math.min(left, offsets)
    if (counted <= 0) return
    reasons[reason] = (reasons[reason] ?? 0) + counted
    left -= counted
  }
  let at = first
  let goneWithoutGap = Math.max(0, Math.min(end, logStart) - first)
  for (const gap of gaps.toSorted((one, other) => one.first - other.first)) {
    const from = Math.max(at, gap.first)
    const to = Math.min(end, gap.last + 1)
    if (from >= to) continue
    count(gap.reason, to - from)
    goneWithoutGap -= Math.max(0, Math.min(to, logStart) - from)
    at = to
  }
  count('removed', goneWithoutGap)
  count('empty', left)
  return reasons
}

/** The same of a partition as it is now. */
export const unsentIn = (broker: Broker, id: PartitionId, stretch: Stretch): Unsent =>
  stretch.end - stretch.first === stretch.records ? {} : unsentOf(stretch, broker.offsets(id).logStart, broker.gaps(id))

/** Both together. */
export const addUnsent = (one: Unsent, other: Unsent): Unsent => {
  const sum: Partial<Record<UnsentReason, number>> = { ...one }
  for (const [reason, offsets] of Object.entries(other) as [UnsentReason, number][])
    sum[reason] = (sum[reason] ?? 0) + offsets
  return sum
}

/** Offsets of all reasons. */
export const unsentInAll = (unsent: Unsent): number => Object.values(unsent).reduce((sum, offsets) => sum + offsets, 0)
