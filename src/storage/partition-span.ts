import type { BlockIndex } from './block-index.ts'
import type { Segment } from './segment.ts'

/**
 * What one segment holds of one partition; in a cold segment, a stretch of it. Shows a row of the segment's spans and is made when somebody looks: two of
 * them may show the same one, see `isSame`.
 */
export class PartitionSpan {
  readonly segment: Segment
  readonly row: number

  constructor(segment: Segment, row: number) {
    this.segment = segment
    this.row = row
  }

  isSame({ segment, row }: PartitionSpan): boolean {
    return this.segment === segment && this.row === row
  }

  get partition(): number {
    return this.segment.spans.partition(this.row)
  }

  get firstOffset(): number {
    return this.segment.spans.firstOffset(this.row)
  }

  /** One past the last offset. In a cold segment both are what the span answers for: what it lacks between them was removed on purpose. */
  get endOffset(): number {
    return this.segment.spans.endOffset(this.row)
  }

  /** Reads below this go to a newer segment, which holds a copy. */
  get from(): number {
    return this.segment.spans.from(this.row)
  }

  /** Bytes of batches. */
  get bytes(): number {
    return this.segment.spans.bytes(this.row)
  }

  get maxTimestamp(): number {
    return this.segment.spans.maxTimestamp(this.row)
  }

  get firstLogAge(): number {
    return this.segment.spans.firstLogAge(this.row)
  }

  get lastLogAge(): number {
    return this.segment.spans.lastLogAge(this.row)
  }

  /** Pairs of leader epoch and the first offset that has it, in order. */
  get epochs(): readonly number[] {
    return this.segment.spans.epochs(this.row)
  }

  /** As it is now; undefined while only the footer has it. */
  get blocks(): BlockIndex | undefined {
    return this.segment.spans.blocks(this.row)
  }
}
