import { firstGroupPosition } from './layout.ts'
import { logControlPartition } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'
import type { Segment } from './segment.ts'

export type LogLookup = (partition: number) => PartitionLog | undefined

/** Group headers, frame headers and the padding that goes when batches are copied: what a hot segment needs above its batches, at most. */
const hotOverhead = 1.4

/** Bytes that the segment would take if all its batches were copied. */
const packedBytes = (segment: Segment, batchBytes: number): number => {
  const present = segment.end - firstGroupPosition
  return segment.isCold ? present : Math.min(present, batchBytes * hotOverhead)
}

/**
 * Bytes of the span's batches that are still read: what newer copies and the log start leave of it. By the index where that is in memory, else by the
 * share of its offsets.
 */
export const liveSpanBytes = (span: PartitionSpan, logOf: LogLookup): number => {
  const log = logOf(span.partition)
  if (log === undefined) return 0
  const from = Math.max(span.from, log.logStart)
  if (from >= span.endOffset) return 0
  if (from <= span.firstOffset) return span.bytes
  const { blocks } = span
  if (blocks !== undefined && blocks.count > 0) return span.bytes - blocks.bytesBefore(blocks.entryOf(from))
  return (span.bytes * (span.endOffset - from)) / (span.endOffset - span.firstOffset)
}

/**
 * Bytes that the cleaner would have to copy to free the segment. An estimate for hot segments, never less than they need. Records of the log
 * control partition are not copied but written again.
 */
export const liveSegmentBytes = (segment: Segment, logOf: LogLookup): number => {
  let batches = 0
  let live = 0
  for (const span of segment.allSpans()) {
    batches += span.bytes
    if (span.partition !== logControlPartition) live += liveSpanBytes(span, logOf)
  }
  return batches === 0 ? 0 : (packedBytes(segment, batches) * live) / batches
}

/**
 * Nothing in it is read any more, durably: every offset lies below a log start that is on the device, or in a newer copy, or its partition was
 * removed.
 */
export const isDead = (segment: Segment, logOf: LogLookup): boolean => {
  for (const span of segment.allSpans()) if (isAlive(span, logOf)) return false
  return true
}

/** Dead but for records of the log control partition. */
export const isHeldByControl = (segment: Segment, logOf: LogLookup): boolean => {
  let holdsControl = false
  for (const span of segment.allSpans()) {
    if (!isAlive(span, logOf)) continue
    if (span.partition !== logControlPartition) return false
    holdsControl = true
  }
  return holdsControl
}

const isAlive = (span: PartitionSpan, logOf: LogLookup): boolean => {
  const log = logOf(span.partition)
  return log !== undefined && span.from < span.endOffset && log.durableLogStart < span.endOffset
}
