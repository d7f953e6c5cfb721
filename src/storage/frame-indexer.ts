import { assert } from '../core/assert.ts'
import { partitionId } from '../core/brand.ts'
import { AT, baseOffsetOf, leaderEpochOf, maxTimestampOf } from '../wire/kafka/record-batch.ts'
import { frameBatchBytes, frameHeaderBytes, frameLastOffsetDelta, frameLogAge, framePartition } from './frame.ts'
import { groupHeaderBytes } from './group.ts'
import type { PartitionLog } from './partition-log.ts'
import type { Segment } from './segment.ts'

/** Finds a partition by id; undefined when it was removed and its frames are dead. */
export type PartitionLookup = (partition: number) => PartitionLog | undefined

/** Takes one durable, verified frame at `at` of `buffer`, which stands at `position` of the segment, into all indexes. */
export const indexFrame = (
  segment: Segment,
  buffer: Buffer,
  at: number,
  position: number,
  lookup: PartitionLookup,
): void => {
  const partition = framePartition(buffer, at)
  const log = lookup(partition)
  if (log === undefined) return
  const batchAt = at + frameHeaderBytes
  const baseOffset = baseOffsetOf(buffer, batchAt)
  const lastOffsetDelta = frameLastOffsetDelta(buffer, at)
  const endOffset = baseOffset + lastOffsetDelta + 1
  if (endOffset > log.logEnd) log.logEnd = endOffset
  log.advanceHighWatermark(endOffset)
  log.addSpan(
    segment.index({
      position,
      partition: partitionId(partition),
      baseOffset,
      lastOffsetDelta,
      batchBytes: frameBatchBytes(buffer, at),
      maxTimestamp: maxTimestampOf(buffer, batchAt),
      leaderEpoch: leaderEpochOf(buffer, batchAt),
      logAge: frameLogAge(buffer, at),
    }),
  )
}

/** Takes all frames of a whole group, whose header stands at `groupAt`. */
export const indexGroup = (
  segment: Segment,
  buffer: Buffer,
  groupAt: number,
  groupPosition: number,
  frameCount: number,
  lookup: PartitionLookup,
): void => {
  let at = groupAt + groupHeaderBytes
  for (let index = 0; index < frameCount; index++) {
    assert(at + frameHeaderBytes + AT.recordCount < buffer.length, 'frames lie within their group')
    indexFrame(segment, buffer, at, groupPosition + at - groupAt, lookup)
    at += frameHeaderBytes + frameBatchBytes(buffer, at)
  }
}
