import { assert } from '../core/assert.ts'
import type { ColdPlace } from './control-record.ts'
import { encodeFooter } from './footer.ts'
import { frameHeaderBytes, writeFrameHeader } from './frame.ts'
import { describeFrame } from './frame-indexer.ts'
import { alignDown, alignUp, blockBytes, firstGroupPosition, footerCost, saltSeed } from './layout.ts'
import type { PartitionSpan } from './partition-span.ts'
import { Segment } from './segment.ts'
import { encodeSlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'
import { coldHeader } from './slot-header-repair.ts'

/** Written and synced at once: whole blocks of flash, and so few that a commit that comes meanwhile waits little longer than for another commit. */
const chunkBytes = 64 * 1024

/**
 * A cold segment while the cleaner writes it, frame by frame, in large sequential writes past the commit writer. Nothing of it counts before its
 * `place` is published in the log; until then its slot is a free one.
 */
export class ColdSegment {
  readonly segment: Segment
  readonly #logId: string
  readonly #seed: number
  /** Bytes from `#start` on that are not written yet. */
  #pending: Buffer[] = []
  #pendingBytes = 0
  #start = 0

  constructor(slot: Slot, identity: { logId: string; sequence: number; salt: bigint; slotBytes: number }) {
    this.#logId = identity.logId
    const header = coldHeader(identity, this.#logId, identity.slotBytes)
    this.segment = new Segment(slot, header, firstGroupPosition)
    this.#seed = saltSeed(identity.salt)
    this.#push(encodeSlotHeader(header))
  }

  /** What publishes it. */
  get place(): ColdPlace {
    const { slot, sequence, header, end } = this.segment
    return { sequence, slot: slot.number, salt: header.salt, end }
  }

  /** Bytes written when all of it is on the device. */
  get writtenBytes(): number {
    return alignUp(this.segment.end, blockBytes) + alignUp(this.segment.footerBytes, blockBytes)
  }

  /** A chunk waits to be written: see `flush`. */
  get isDue(): boolean {
    return this.#pendingBytes >= chunkBytes
  }

  /** The stretch that goes on at `firstOffset`, or a new one. It answers for all offsets up to where it is `extend`ed to. */
  spanFor(partition: number, firstOffset: number, logAge: number): PartitionSpan {
    const newest = this.segment.newestSpan(partition)
    return newest?.endOffset === firstOffset ? newest : this.segment.beginSpan(partition, firstOffset, logAge)
  }

  /** Whether a batch and a new stretch for it fit before the footer. */
  hasRoomFor(batchBytes: number): boolean {
    return this.#fits(batchBytes, footerCost.span + footerCost.epoch + footerCost.block)
  }

  #fits(batchBytes: number, growth: number): boolean {
    const { segment } = this
    const footer = alignUp(segment.footerBytes + growth, blockBytes)
    return alignUp(segment.end + frameHeaderBytes + batchBytes, blockBytes) + footer <= segment.header.slotBytes
  }

  /**
   * Copies a batch in, its base offset and leader epoch as they are. `compactedAt` is the log age at which compaction first found that only newest
   * records are in it, 0 when it has not.
   */
  add(span: PartitionSpan, batch: Buffer, logAge: number, compactedAt: number): void {
    // its stretch has its place in the footer already
    assert(this.#fits(batch.length, footerCost.epoch + footerCost.block), 'a copied batch fits before the footer')
    const frame = Buffer.allocUnsafe(frameHeaderBytes + batch.length)
    batch.copy(frame, frameHeaderBytes)
    writeFrameHeader(frame, 0, this.#seed, compactedAt, 0, span.partition, batch.length, logAge)
    const { segment } = this
    segment.spans.index(span.row, describeFrame(frame, 0, segment.end))
    this.#push(frame)
    segment.end += frame.length
  }

  /** The stretch answers for offsets up to `endOffset`, whether batches of them are left or not. */
  extend(span: PartitionSpan, endOffset: number): void {
    assert(endOffset >= span.endOffset, 'a stretch grows upwards')
    span.segment.spans.setEndOffset(span.row, endOffset)
  }

  /** Writes and syncs the whole blocks that wait; `all` also the last one, with zeros. */
  async flush(all = false): Promise<void> {
    const bytes = Buffer.concat(this.#pending)
    const length = all ? alignUp(bytes.length, blockBytes) : alignDown(bytes.length, blockBytes)
    const rest = bytes.subarray(Math.min(length, bytes.length))
    this.#pending = rest.length > 0 ? [rest] : []
    this.#pendingBytes = rest.length
    if (length === 0) return
    const chunk = length > bytes.length ? Buffer.concat([bytes], length) : bytes.subarray(0, length)
    const { file } = this.segment.slot
    await file.write(chunk, this.#start)
    await file.sync()
    this.#start += length
  }

  /** Writes what is left, and the footer. Everything is on the device when it resolves; block indexes are then read from there. */
  async finish(logAge: number): Promise<void> {
    const { segment } = this
    await this.flush(true)
    segment.sealed = true
    segment.lastGroup = 0
    const footer = encodeFooter(segment, logAge)
    assert(segment.end <= segment.header.slotBytes - footer.length, 'the footer stands behind the frames')
    await segment.slot.file.write(footer, segment.header.slotBytes - footer.length)
    await segment.slot.file.sync()
    segment.hasFooter = true
  }

  #push(bytes: Buffer): void {
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
  }
}
