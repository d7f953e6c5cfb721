import { assert } from '../core/assert.ts'
import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { BatchBuilder } from '../wire/kafka/batch-builder.ts'
import type { Compaction, LeaderEpoch, Retention } from './log.ts'
import type { PartitionSpan } from './partition-span.ts'
import type { IndexedFrame, Segment } from './segment.ts'
import { SpanList } from './span-list.ts'

/** One partition: its offsets, and where in the log its batches are. Costs no file. */
export class PartitionLog {
  readonly id: PartitionId
  /** First offset that can be read. */
  logStart = 0
  /** The log start that is on the device: what lies below may be overwritten. */
  durableLogStart = 0
  /** One past the last durable record. */
  highWatermark = 0
  /** One past the last record appended. */
  logEnd = 0
  /** In the order of their offsets, none twice; the segments that hold durable batches of it. */
  readonly spans = new SpanList()
  /** Open batch of `appendRecord`; empty between groups. Kept from group to group. */
  openBatch: BatchBuilder | undefined
  /** Base offset of the open batch. */
  openBaseOffset = 0
  /** Newest group that has a frame or an open batch of it. */
  newestGroup = -1
  /** Its records may be acknowledged before their sync. */
  isRelaxed = false
  retention: Retention | undefined
  /** Undefined: records do not go because of their keys. */
  compaction: Compaction | undefined

  constructor(id: PartitionId) {
    this.id = id
  }

  /** Throws `offsetOutOfRange` for what was never there or is gone. */
  checkRange(offset: number): void {
    if (offset >= this.logStart && offset <= this.logEnd) return
    throw new BrokerError('offsetOutOfRange', `offset ${offset} is not within ${this.logStart} to ${this.logEnd}`)
  }

  /** The newest group became durable up to this offset. */
  advanceHighWatermark(offset: number): void {
    assert(
      offset >= this.highWatermark && offset <= this.logEnd,
      'the high watermark rises and stays below the log end',
    )
    this.highWatermark = offset
  }

  /** Everything below `offset` is gone for readers. */
  advanceLogStart(offset: number): void {
    assert(offset <= this.logEnd, 'the log start stays at or below the log end')
    if (offset > this.logStart) this.logStart = offset
  }

  /** The newest span of the partition, all of it. */
  addSpan(span: PartitionSpan): void {
    assert((this.spans.at(-1)?.endOffset ?? 0) <= span.from, 'spans of a partition are in the order of their offsets')
    this.spans.insert(this.spans.length, span)
  }

  /** Takes the partition's newest durable frame into the index. */
  addFrame(segment: Segment, frame: IndexedFrame): void {
    const span = segment.index(frame)
    if (this.spans.endsWith(span.segment, span.row)) this.spans.bytes += frame.batchBytes
    else this.addSpan(span)
  }

  /**
   * A copy of batches in a newer segment: from now on its offsets are read there. The older spans keep what lies above; below it they hold
   * only what the log start has passed.
   */
  supersede(copy: PartitionSpan): void {
    const index = this.spans.firstAbove(copy.firstOffset)
    while (index < this.spans.length) {
      const { from, endOffset } = this.spans.at(index)!
      if (from >= copy.endOffset) break
      this.spans.cut(index, Math.min(endOffset, copy.endOffset))
      if (copy.endOffset < endOffset) break
      this.spans.remove(index)
    }
    if (copy.firstOffset < copy.endOffset) this.spans.insert(index, copy)
  }

  /** Index of the first span that has offsets at or above `offset`; the number of spans when none has. */
  spanFrom(offset: number): number {
    return this.spans.firstAbove(offset)
  }

  /** Bytes of live batches; a span that the log start cuts counts by its index where that is in memory. */
  get sizeBytes(): number {
    let { bytes } = this.spans
    if (this.spans.firstOffset >= this.logStart && !this.spans.hasCut) return bytes
    const first = this.spanFrom(this.logStart)
    for (let index = 0; index < first; index++) bytes -= this.spans.at(index)!.bytes
    // only the first one is cut by the log start, others where a copy answers for their beginning
    const end = this.spans.hasCut ? this.spans.length : Math.min(first + 1, this.spans.length)
    for (let index = first; index < end; index++) bytes -= this.#cutBytes(this.spans.at(index)!)
    return bytes
  }

  #cutBytes(span: PartitionSpan): number {
    const from = Math.max(span.from, this.logStart)
    const blocks = span.firstOffset < from ? span.blocks : undefined
    return blocks === undefined || blocks.count === 0 ? 0 : blocks.bytesBefore(blocks.entryOf(from))
  }

  /** Epochs of live records; the first one starts at the log start. */
  leaderEpochs(): LeaderEpoch[] {
    const epochs: LeaderEpoch[] = []
    for (const span of this.spans) {
      for (let at = 0; at < span.epochs.length; at += 2) {
        const epoch = span.epochs[at]!
        // all of it is read elsewhere
        if ((span.epochs[at + 3] ?? span.endOffset) <= span.from) continue
        const startOffset = Math.max(span.epochs[at + 1]!, span.from, this.logStart)
        const last = epochs.at(-1)
        if (last?.epoch === epoch) continue
        // the earlier epoch has no live record
        if (last?.startOffset === startOffset) epochs.pop()
        epochs.push({ epoch, startOffset })
      }
    }
    return this.logStart === this.highWatermark ? [] : epochs
  }
}
