import type { BlockIndex } from './block-index.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'

/** Limits of a partition; -1 means none. `ms` counts log age, never record timestamps. */
export interface RetentionLimits {
  readonly ms: number
  readonly bytes: number
}

const isLimit = (value: number): boolean => value >= 0 && Number.isFinite(value)

/** Whether records of the partition may be past its limits: of 10,000 partitions hardly any are. */
export const mayExceed = (log: PartitionLog, { ms, bytes }: RetentionLimits, logAge: number): boolean => {
  if (isLimit(bytes) && log.sizeBytes > bytes) return true
  if (!isLimit(ms)) return false
  const oldest = log.spans.at(log.spanFrom(log.logStart))
  return oldest !== undefined && oldest.firstLogAge < logAge - ms / 1000
}

/** Gives the block index of a span, from the device if need be. */
export type BlocksOf = (span: PartitionSpan) => Promise<BlockIndex>

/**
 * The offset that a partition begins at when its limits are applied, at least its log start. Precision is one 64 KiB stretch of the log.
 */
export const retainedFrom = async (
  log: PartitionLog,
  limits: RetentionLimits,
  logAge: number,
  blocksOf: BlocksOf,
): Promise<number> => {
  let start = log.logStart
  if (isLimit(limits.ms)) start = Math.max(start, await youngerThan(log, logAge - limits.ms / 1000, blocksOf))
  if (isLimit(limits.bytes)) start = Math.max(start, await withinBytes(log, limits.bytes, blocksOf))
  return start
}

/** First offset that is not surely older than `limitAge`. */
const youngerThan = async (log: PartitionLog, limitAge: number, blocksOf: BlocksOf): Promise<number> => {
  let start = log.logStart
  for (let index = log.spanFrom(start); index < log.spans.length; index++) {
    const span = log.spans.at(index)!
    if (span.lastLogAge < limitAge) {
      start = span.endOffset
      continue
    }
    if (span.firstLogAge >= limitAge) break
    const blocks = await blocksOf(span)
    // what stands before a stretch is not younger than its first frame
    for (let entry = 1; entry < blocks.count; entry++) {
      if (blocks.logAge(entry) < limitAge) start = Math.max(start, blocks.firstOffset(entry))
    }
    break
  }
  return start
}

/** First offset such that the rest is the least that holds `limitBytes`, as Kafka keeps at least its limit. */
const withinBytes = async (log: PartitionLog, limitBytes: number, blocksOf: BlocksOf): Promise<number> => {
  let excess = log.sizeBytes - limitBytes
  let start = log.logStart
  for (let index = log.spanFrom(start); index < log.spans.length && excess > 0; index++) {
    const span = log.spans.at(index)!
    const from = Math.max(span.from, log.logStart)
    const cut = span.firstOffset < from
    const blocks = cut || span.bytes > excess ? await blocksOf(span) : undefined
    const deadBytes = cut && (blocks?.count ?? 0) > 0 ? blocks!.bytesBefore(blocks!.entryOf(from)) : 0
    if (span.bytes - deadBytes <= excess) {
      excess -= span.bytes - deadBytes
      start = span.endOffset
      continue
    }
    for (let entry = 1; entry < (blocks?.count ?? 0); entry++) {
      if (blocks!.bytesBefore(entry) - deadBytes <= excess) start = Math.max(start, blocks!.firstOffset(entry))
    }
    break
  }
  return start
}
