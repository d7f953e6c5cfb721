import { assert } from '../core/assert.ts'
import { firstGroupPosition, footerCost, saltSeed } from './layout.ts'
import { PartitionSpan } from './partition-span.ts'
import { SegmentSpans } from './segment-spans.ts'
import type { SlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'

/** One frame as it enters the index. */
export interface IndexedFrame {
  readonly position: number
  readonly partition: number
  readonly baseOffset: number
  readonly lastOffsetDelta: number
  readonly batchBytes: number
  readonly maxTimestamp: number
  readonly leaderEpoch: number
  readonly logAge: number
}

/** The content of a slot: which groups, which offsets of which partitions. Knows durable data only. */
export class Segment {
  readonly slot: Slot
  readonly header: SlotHeader
  /** Position after the last durable group; nothing is read from here on. */
  end: number
  /** Number and CRC of the last group. */
  lastGroup: number
  lastCrc: number
  /** No group follows in this segment. */
  sealed = false
  /** The footer is on the device, or there will be none: block indexes may be dropped, and be read or made again. */
  hasFooter = false
  readonly spans = new SegmentSpans()
  /** Where the groups of a later start begin, with its salt; the header's salt holds before. */
  readonly saltPositions: number[] = []
  readonly salts: bigint[] = []
  /** Reads under way from the slot; it is not reused while there are any. */
  readers = 0
  readonly #seeds: number[] = []
  readonly #firstSeed: number

  constructor(slot: Slot, header: SlotHeader, end: number) {
    this.slot = slot
    this.header = header
    this.end = end
    this.lastGroup = header.firstGroup - 1
    this.lastCrc = header.previousCrc
    this.#firstSeed = saltSeed(header.salt)
  }

  /** Groups of it were found; else only its slot header was read. */
  get isKnown(): boolean {
    return this.lastGroup >= this.header.firstGroup
  }

  /** Forgets what was taken from an index that turned out not to be its. */
  reset(): void {
    this.end = firstGroupPosition
    this.lastGroup = this.header.firstGroup - 1
    this.lastCrc = this.header.previousCrc
    this.spans.clear()
    this.saltPositions.length = 0
    this.salts.length = 0
    this.#seeds.length = 0
  }

  /** Bytes of the footer that would be written now. */
  get footerBytes(): number {
    return footerCost.fixed + this.salts.length * footerCost.salt + this.spans.footerBytes
  }

  get sequence(): number {
    return this.header.sequence
  }

  /** Groups from `position` on carry `salt`. */
  addSalt(position: number, salt: bigint): void {
    assert(position >= (this.saltPositions.at(-1) ?? 0), 'salts of a segment are in order')
    this.saltPositions.push(position)
    this.salts.push(salt)
    this.#seeds.push(saltSeed(salt))
  }

  /** The CRC state that frames at `position` begin with. */
  seedAt(position: number): number {
    let seed = this.#firstSeed
    for (let index = 0; index < this.#seeds.length && this.saltPositions[index]! <= position; index++) {
      seed = this.#seeds[index]!
    }
    return seed
  }

  /** Batches that the cleaner copied, in place of groups as they were committed. */
  get isCold(): boolean {
    return this.header.kind === 'cold'
  }

  /** Names it among all segments of the log: hot and cold ones are numbered apart. */
  get name(): string {
    return `${this.header.kind}/${this.header.sequence}`
  }

  /** Begins a span that answers for offsets from `firstOffset` on. */
  beginSpan(partition: number, firstOffset: number, logAge: number): PartitionSpan {
    this.spans.keepBlocks()
    return new PartitionSpan(this, this.spans.add(partition, firstOffset, logAge))
  }

  /** The partition's span that began last. */
  newestSpan(partition: number): PartitionSpan | undefined {
    const row = this.spans.rowOf(partition)
    return row === undefined ? undefined : new PartitionSpan(this, row)
  }

  /** The span of the partition that holds the offset. */
  spanHolding(partition: number, offset: number): PartitionSpan | undefined {
    const row = this.spans.rowHolding(partition, offset)
    return row === undefined ? undefined : new PartitionSpan(this, row)
  }

  /** Spans in the order in which they began. */
  *allSpans(): Generator<PartitionSpan> {
    for (let row = 0; row < this.spans.size; row++) yield new PartitionSpan(this, row)
  }

  /** Takes a durable frame into the index and returns the partition's span. Frames of a span come in the order of their offsets. */
  index(frame: IndexedFrame): PartitionSpan {
    const span = this.newestSpan(frame.partition) ?? this.beginSpan(frame.partition, frame.baseOffset, frame.logAge)
    this.spans.index(span.row, frame)
    return span
  }
}
