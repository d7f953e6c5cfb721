import { indexGroup } from './frame-indexer.ts'
import type { PartitionLog } from './partition-log.ts'
import type { RecoveredLog } from './recover-log.ts'
import type { WrittenGroup } from './unsynced-groups.ts'

/**
 * Takes a group that became durable into the segments, the tail and the indexes: readers see it from now on. Batches of the log control
 * partition are handed on. True when the group begins a segment.
 */
export const takeDurableGroup = (
  { group, placement, bytes }: WrittenGroup,
  { segments, tail, logs }: RecoveredLog,
  removing: ReadonlyMap<number, PartitionLog>,
  onControl: (batch: Buffer) => void,
): boolean => {
  const { segment, position } = placement
  const begins = segments.at(-1) !== segment
  if (begins) segments.push(segment)
  tail.add(segment, position, bytes)
  const lookup = (id: number): PartitionLog | undefined => logs.get(id) ?? removing.get(id)
  indexGroup(segment, bytes, position, group.frameCount, lookup, onControl)
  return begins
}
