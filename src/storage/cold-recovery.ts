import { partitionId } from '../core/brand.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Logger } from '../platform/logger.ts'
import type { BlockCache } from './block-cache.ts'
import { readSegmentSummary } from './checkpoint.ts'
import type { ColdPlace } from './control-record.ts'
import { readFooter, takeSegmentIndex } from './footer.ts'
import { describeFrame } from './frame-indexer.ts'
import { FrameWalk } from './frame-walk.ts'
import { firstGroupPosition } from './layout.ts'
import type { LogControl } from './log-control.ts'
import type { FoundSegments } from './open-segments.ts'
import { PartitionLog } from './partition-log.ts'
import type { LostOffsets } from './recovery.ts'
import type { Segment } from './segment.ts'
import type { Tail } from './tail.ts'

/** Reads what the cold segment holds: from the checkpoint or its footer. One that has neither stays unknown. */
export const readColdIndex = async (segment: Segment, store: CheckpointStore | undefined): Promise<void> => {
  const summary = store === undefined ? undefined : readSegmentSummary(store, segment)
  if (summary !== undefined && takeSegmentIndex(segment, summary)) return
  segment.reset()
  if (!(await readFooter(segment))) segment.reset()
}

/** What recovery of cold segments needs. */
export interface ColdRecovery {
  readonly found: FoundSegments
  readonly control: LogControl
  /** As the hot segments say. */
  readonly logs: Map<number, PartitionLog>
  readonly tail: Tail
  readonly cache: BlockCache
  readonly logger: Logger
}

/**
 * Takes in the cold segments that the log control partition has published, oldest first, so that newer copies count; returns them. All others
 * are free: a crash came before their publication, or they were dead.
 */
export const takeColdSegments = async (recovery: ColdRecovery): Promise<Segment[]> => {
  const { found, control, logs } = recovery
  const taken: Segment[] = []
  const places = [...control.cold.values()].sort((one, other) => one.sequence - other.sequence)
  for (const place of places) {
    const segment = found.cold.find(({ header, slot }) => header.salt === place.salt && slot.number === place.slot)
    if (segment === undefined) continue
    if (!segment.isKnown) await scanColdSegment(recovery, segment, place)
    if (!segment.isKnown) continue
    segment.sealed = true
    segment.hasFooter = true
    for (const span of segment.allSpans()) {
      const log = logOf(logs, span.partition, span.firstOffset)
      log.logStart = Math.min(log.logStart, span.firstOffset)
      log.logEnd = Math.max(log.logEnd, span.endOffset)
      log.advanceHighWatermark(log.logEnd)
      log.supersede(span)
    }
    taken.push(segment)
  }
  return taken
}

/** What is left of `lost` where cold segments answer for part of it. */
export const withoutHeld = (
  lost: readonly LostOffsets[],
  logs: ReadonlyMap<number, PartitionLog>,
): readonly LostOffsets[] =>
  lost.flatMap(range => {
    const left: LostOffsets[] = []
    let { first } = range
    for (const span of logs.get(range.partition)?.spans ?? []) {
      if (!span.segment.isCold || span.endOffset <= first || span.from > range.last) continue
      if (span.from > first) left.push({ ...range, first, last: span.from - 1 })
      first = span.endOffset
    }
    if (first <= range.last) left.push({ ...range, first })
    return left
  })

/** Its index made again from its frames; the segment stays unknown when none verifies. */
const scanColdSegment = async (
  { tail, cache, logger }: ColdRecovery,
  segment: Segment,
  { end }: ColdPlace,
): Promise<void> => {
  segment.end = Math.min(end, segment.slot.preparedBytes)
  const walk = new FrameWalk(segment, firstGroupPosition, tail, cache)
  walk.aheadEnd = segment.end
  while (await walk.find()) {
    const frame = describeFrame(walk.buffer, walk.at, walk.position)
    const newest = segment.newestSpan(frame.partition)
    const goesOn = newest?.endOffset === frame.baseOffset
    const span = goesOn ? newest : segment.beginSpan(frame.partition, frame.baseOffset, frame.logAge)
    segment.spans.index(span.row, frame)
    walk.skip()
  }
  if (segment.spans.size === 0) return
  logger.error({ slot: segment.slot.number }, 'the index of a cold segment is damaged, the segment is scanned')
  segment.lastGroup = 0
}

const logOf = (logs: Map<number, PartitionLog>, partition: number, offset: number): PartitionLog => {
  let log = logs.get(partition)
  if (log === undefined) {
    log = new PartitionLog(partitionId(partition))
    log.logStart = offset
    log.logEnd = offset
    log.highWatermark = offset
    logs.set(partition, log)
  }
  return log
}
