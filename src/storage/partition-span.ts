import { indexBlockBytes } from './layout.ts'
import type { Segment } from './segment.ts'

/** Fields of one index entry, side by side in one typed array. */
const stride = 5
const firstOffsetField = 0
const positionField = 1
const bytesBeforeField = 2
const maxTimestampField = 3
const logAgeField = 4

/**
 * Sparse index of one partition within one segment: an entry for each 64 KiB stretch in which it has frames. Its size does not depend
 * on the number of batches.
 */
export class BlockIndex {
  count = 0
  #values: Float64Array

  constructor(capacity = 2) {
    this.#values = new Float64Array(capacity * stride)
  }

  /** `maxTimestamp` is of the first frame alone for now; `raise` follows. */
  add(firstOffset: number, position: number, bytesBefore: number, maxTimestamp: number, logAge: number): void {
    const at = this.count * stride
    if (at === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    const values = this.#values
    values[at + firstOffsetField] = firstOffset
    values[at + positionField] = position
    values[at + bytesBeforeField] = bytesBefore
    values[at + maxTimestampField] = maxTimestamp
    values[at + logAgeField] = logAge
    this.count++
  }

  /** Another frame in the newest entry's stretch has this timestamp. */
  raise(maxTimestamp: number): void {
    const at = (this.count - 1) * stride + maxTimestampField
    if (maxTimestamp > this.#values[at]!) this.#values[at] = maxTimestamp
  }

  firstOffset(entry: number): number {
    return this.#values[entry * stride + firstOffsetField]!
  }

  /** Where in the slot the first frame of the stretch begins. */
  position(entry: number): number {
    return this.#values[entry * stride + positionField]!
  }

  /** No frame of the partition begins in the segment at or behind this position. */
  get endPosition(): number {
    return this.count === 0 ? 0 : (Math.floor(this.position(this.count - 1) / indexBlockBytes) + 1) * indexBlockBytes
  }

  /** Bytes of the partition's batches in this segment before the stretch. */
  bytesBefore(entry: number): number {
    return this.#values[entry * stride + bytesBeforeField]!
  }

  /** Largest record timestamp in the segment up to the end of the stretch. */
  maxTimestamp(entry: number): number {
    return this.#values[entry * stride + maxTimestampField]!
  }

  /** Log age of the first frame of the stretch. */
  logAge(entry: number): number {
    return this.#values[entry * stride + logAgeField]!
  }

  /** The entry whose stretch holds `offset`: the last one that begins at or below it, at least the first. */
  entryOf(offset: number): number {
    let low = 0
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.firstOffset(middle) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The first entry from `from` on by whose end a timestamp of at least `timestampMs` was seen; `count` when none. */
  entryByTimestamp(timestampMs: number, from: number): number {
    let entry = from
    while (entry < this.count && this.maxTimestamp(entry) < timestampMs) entry++
    return entry
  }
}

/** What one segment holds of one partition; in a cold segment, a stretch of it. */
export class PartitionSpan {
  readonly segment: Segment
  readonly partition: number
  readonly firstOffset: number
  /** One past the last offset. In a cold segment both are what the span answers for: what it lacks between them was removed on purpose. */
  endOffset: number
  /** Reads below this go to a newer segment, which holds a copy. */
  from: number
  /** Bytes of batches. */
  bytes = 0
  maxTimestamp = -1
  readonly firstLogAge: number
  lastLogAge: number
  /** Pairs of leader epoch and the first offset that has it, in order. */
  readonly epochs: number[] = []
  /** Undefined while only the footer has it. */
  blocks: BlockIndex | undefined

  constructor(segment: Segment, partition: number, firstOffset: number, firstLogAge: number) {
    this.segment = segment
    this.partition = partition
    this.firstOffset = firstOffset
    this.from = firstOffset
    this.endOffset = firstOffset
    this.firstLogAge = firstLogAge
    this.lastLogAge = firstLogAge
  }
}
