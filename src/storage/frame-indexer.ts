import { assert } from '../core/assert.ts'
import { AT, baseOffsetOf, leaderEpochOf, maxTimestampOf } from '../wire/kafka/record-batch.ts'
import { frameBatchBytes, frameHeaderBytes, frameLastOffsetDelta, frameLogAge, framePartition } from './frame.ts'
import { groupHeaderBytes } from './group.ts'
import { logControlPartition } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { IndexedFrame, Segment } from './segment.ts'

/** Finds a partition by id; undefined when it was removed and its frames are dead. */
export type PartitionLookup = (partition: number) => PartitionLog | undefined

/** The index fields of the frame at `at`, which stands at `position` of its segment. */
export const describeFrame = (buffer: Buffer, at: number, position: number): IndexedFrame => {
  const batchAt = at + frameHeaderBytes
  return {
    position,
    partition: framePartition(buffer, at),
    baseOffset: baseOffsetOf(buffer, batchAt),
    lastOffsetDelta: frameLastOffsetDelta(buffer, at),
    batchBytes: frameBatchBytes(buffer, at),
    maxTimestamp: maxTimestampOf(buffer, batchAt),
    leaderEpoch: leaderEpochOf(buffer, batchAt),
    logAge: frameLogAge(buffer, at),
  }
}

/** Takes one durable, verified frame into the indexes of its segment and partition. */
export const indexFrame = (segment: Segment, log: PartitionLog, frame: IndexedFrame): void => {
  const endOffset = frame.baseOffset + frame.lastOffsetDelta + 1
  if (endOffset > log.logEnd) log.logEnd = endOffset
  log.advanceHighWatermark(endOffset)
  log.addFrame(segment, frame)
}

/**
 * Takes all frames of a whole group, which stands at `position` of its segment; then batches of the log control partition are handed on: what one of them removes
 * may have frames behind it in its group, and these keep the segment alive too.
 */
export const indexGroup = (
  segment: Segment,
  group: Buffer,
  position: number,
  frameCount: number,
  lookup: PartitionLookup,
  onControl: (batch: Buffer) => void,
): void => {
  const control: Buffer[] = []
  let at = groupHeaderBytes
  for (let index = 0; index < frameCount; index++) {
    assert(at + frameHeaderBytes + AT.recordCount < group.length, 'frames lie within their group')
    const log = lookup(framePartition(group, at))
    if (log !== undefined) indexFrame(segment, log, describeFrame(group, at, position + at))
    const end = at + frameHeaderBytes + frameBatchBytes(group, at)
    if (framePartition(group, at) === logControlPartition) control.push(group.subarray(at + frameHeaderBytes, end))
    at = end
  }
  control.forEach(onControl)
}
