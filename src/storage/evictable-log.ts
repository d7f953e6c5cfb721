import type { ControlWriter } from './control-writer.ts'
import type { EvictionLog } from './eviction.ts'
import { reservedSlots, spareSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { RecoveredLog } from './recover-log.ts'
import type { RetentionLimits } from './retention.ts'
import type { Segment } from './segment.ts'

/** Where more than this share of what was written is live it is not copied to make room: each slot gained would cost too many that are written. */
const targetShare = 0.8

/** What the parts of the running log give to eviction. */
export interface EvictableParts {
  readonly recovered: RecoveredLog
  readonly removing: ReadonlyMap<number, PartitionLog>
  readonly control: ControlWriter
  readonly retention: RetentionLimits
  logAge(): number
}

/** The log as eviction sees it. */
export const evictableLog = (parts: EvictableParts): EvictionLog => {
  const { recovered, removing, control } = parts
  const { pool, indexLoader, logs, segments } = recovered
  const logOf = (partition: number): PartitionLog | undefined => logs.get(partition) ?? removing.get(partition)
  return {
    segments,
    logOf,
    logs: () => logs.values(),
    get needsRoom() {
      return pool.available < reservedSlots + spareSlots(pool.maxSlots)
    },
    get liveBytes() {
      let bytes = 0
      for (const { sizeBytes } of logs.values()) bytes += sizeBytes
      return bytes
    },
    get targetBytes() {
      return targetShare * segments.reduce((sum, { end }) => sum + end, 0)
    },
    get logAge() {
      return parts.logAge()
    },
    defaultRetention: parts.retention,
    blocksOf: span => indexLoader.blocks(span),
    dropQuarantined: () => pool.dropQuarantined(),
    writeControl: records => control.write(records),
    free: async segment => {
      if (segment.readers > 0) return false
      forget(recovered, segment, logOf)
      recovered.leaving.add(segment)
      await pool.release(segment.slot, recovered.meta.logId)
      recovered.leaving.delete(segment)
      return true
    },
  }
}

/** Takes a dead segment out of everything that knows it. */
const forget = (
  { segments, indexLoader, cache }: RecoveredLog,
  segment: Segment,
  logOf: (partition: number) => PartitionLog | undefined,
): void => {
  segments.splice(segments.indexOf(segment), 1)
  for (const span of segment.allSpans()) {
    logOf(span.partition)?.spans.removeSpan(span)
  }
  indexLoader.forget(segment)
  cache.drop(segment)
}
