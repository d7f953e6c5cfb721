import { byteLengthOf, hasValidCrc } from '../wire/kafka/record-batch.ts'
import type { ColdSegment } from './cold-segment.ts'
import { frameCompactedAt, frameLogAge } from './frame.ts'
import { describeFrame } from './frame-indexer.ts'
import { FrameWalk } from './frame-walk.ts'
import { firstGroupPosition } from './layout.ts'
import type { LogLookup } from './live-bytes.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'
import type { Segment } from './segment.ts'
import { noNewestBytes, SegmentScan } from './segment-scan.ts'

/** What copying needs of the log. */
export interface CopyParts {
  logOf: LogLookup
  /** Batches of the segment cannot be read: these offsets are gone. */
  onLost(log: PartitionLog, first: number, last: number): void
  /** Called after each chunk: waits, so that appends are not starved. */
  pause(): Promise<void>
}

/** Where the copy of a span stands. */
interface CopiedSpan {
  readonly log: PartitionLog
  /** In the cold segment. */
  readonly copy: PartitionSpan
  /** Everything below is copied, or dead. */
  next: number
  /** Damaged stretches that the walk had passed at its last frame. */
  damages: number
}

/**
 * Copies the live batches of a segment, in the order in which they stand there, until all are copied or the cold segment is full. Whichever it is,
 * each of its spans is then copied from its beginning up to some offset, and the cold segment answers for that part. True: all of them.
 */
export const copySegment = async (segment: Segment, cold: ColdSegment, parts: CopyParts): Promise<boolean> => {
  /** By the row of their spans. */
  const copied = new Map<number, CopiedSpan>()
  const walk = new FrameWalk(segment, firstGroupPosition, noNewestBytes, new SegmentScan())
  const lost = (log: PartitionLog, first: number, last: number): void => {
    segment.slot.damaged = true
    parts.onLost(log, first, last)
  }
  let isWhole = true
  let damages = 0
  while (await walk.find()) {
    if (walk.skippedDamage) damages++
    walk.skippedDamage = false
    const frame = describeFrame(walk.buffer, walk.at, walk.position)
    const span = segment.spanHolding(frame.partition, frame.baseOffset)
    const log = parts.logOf(frame.partition)
    const endOffset = frame.baseOffset + frame.lastOffsetDelta + 1
    if (span === undefined || log === undefined || endOffset <= Math.max(span.from, log.logStart)) {
      walk.skip()
      continue
    }
    const logAge = frameLogAge(walk.buffer, walk.at)
    const compactedAt = segment.isCold ? frameCompactedAt(walk.buffer, walk.at) : 0
    const batch = await walk.batch()
    if (!cold.hasRoomFor(batch.length)) {
      isWhole = false
      break
    }
    const state = copied.get(span.row) ?? begin(copied, cold, span, log, frame.baseOffset, logAge)
    // the copy of a group that a recovery wrote again
    if (frame.baseOffset >= state.next) {
      // a hole in a cold segment was made on purpose, unless damage stands where its batches stood
      const isMissing = !segment.isCold || damages > state.damages
      if (isMissing && frame.baseOffset > state.next) lost(log, state.next, frame.baseOffset - 1)
      state.damages = damages
      state.next = frame.baseOffset
      if (byteLengthOf(batch) === batch.length && hasValidCrc(batch)) {
        cold.add(state.copy, batch, logAge, compactedAt)
        state.next = endOffset
      } else {
        // lost unless a copy of its group follows
        damages++
      }
    }
    walk.skip()
    if (!cold.isDue) continue
    await cold.flush()
    await parts.pause()
  }
  if (isWhole)
    isWhole = finish(segment, copied, cold, walk.skippedDamage ? damages + 1 : damages, { ...parts, onLost: lost })
  // a stretch that went on where another ended is the copy of both
  for (const { copy, next } of copied.values()) cold.extend(copy, Math.max(next, copy.endOffset))
  return isWhole
}

const begin = (
  copied: Map<number, CopiedSpan>,
  cold: ColdSegment,
  span: PartitionSpan,
  log: PartitionLog,
  baseOffset: number,
  logAge: number,
): CopiedSpan => {
  const first = Math.min(baseOffset, Math.max(span.from, log.logStart))
  const state = { log, copy: cold.spanFor(span.partition, first, logAge), next: first, damages: 0 }
  copied.set(span.row, state)
  return state
}

/** The cold segment answers for all that the segment answered for; false when there is no room to say so of a stretch without batches. */
const finish = (
  segment: Segment,
  copied: Map<number, CopiedSpan>,
  cold: ColdSegment,
  damages: number,
  parts: CopyParts,
): boolean => {
  for (const span of segment.allSpans()) {
    const log = parts.logOf(span.partition)
    const first = Math.max(span.from, log?.logStart ?? 0)
    if (log === undefined || first >= span.endOffset) continue
    if (!copied.has(span.row) && !cold.hasRoomFor(0)) return false
    const state = copied.get(span.row) ?? begin(copied, cold, span, log, first, span.lastLogAge)
    const isMissing = !segment.isCold || damages > state.damages
    if (isMissing && state.next < span.endOffset) parts.onLost(log, state.next, span.endOffset - 1)
    state.next = span.endOffset
  }
  return true
}
