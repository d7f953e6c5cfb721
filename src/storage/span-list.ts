import { PartitionSpan } from './partition-span.ts'
import type { Segment } from './segment.ts'

/** The spans of one partition in the order of their offsets, none twice: two words for each. */
export class SpanList {
  /** Of batches, in all of them. */
  bytes = 0
  /** Of the first span; infinite when there is none. */
  firstOffset = Number.POSITIVE_INFINITY
  /** Spans whose beginning is read elsewhere. */
  #cuts = 0
  readonly #segments: Segment[] = []
  readonly #rows: number[] = []

  get length(): number {
    return this.#segments.length
  }

  /** Counts from the end where negative. */
  at(index: number): PartitionSpan | undefined {
    const segment = this.#segments.at(index)
    return segment === undefined ? undefined : new PartitionSpan(segment, this.#rows.at(index)!)
  }

  *[Symbol.iterator](): Generator<PartitionSpan> {
    for (let index = 0; index < this.length; index++) yield this.at(index)!
  }

  /** Index of the first span that has offsets at or above `offset`; the number of spans when none has. */
  firstAbove(offset: number): number {
    let low = 0
    let high = 0
    // whoever makes room asks, of thousands of partitions, for what is near the beginning
    while (high < this.length && this.#endOffset(high) <= offset) {
      low = high + 1
      high = 2 * high + 1
    }
    high = Math.min(high, this.length)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#endOffset(middle) > offset) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The newest span is this one. */
  endsWith(segment: Segment, row: number): boolean {
    return this.#segments.at(-1) === segment && this.#rows.at(-1) === row
  }

  includes({ segment, row }: PartitionSpan): boolean {
    return this.#indexOf(segment, row) >= 0
  }

  /** The beginning of some span is read elsewhere. */
  get hasCut(): boolean {
    return this.#cuts > 0
  }

  insert(index: number, { segment, row }: PartitionSpan): void {
    this.#segments.splice(index, 0, segment)
    this.#rows.splice(index, 0, row)
    if (index === 0) this.firstOffset = segment.spans.firstOffset(row)
    this.bytes += segment.spans.bytes(row)
    if (isCut(segment, row)) this.#cuts++
  }

  /** From now on offsets below `from` are read elsewhere. */
  cut(index: number, from: number): void {
    const [segment, row] = [this.#segments[index]!, this.#rows[index]!]
    if (isCut(segment, row)) this.#cuts--
    segment.spans.setFrom(row, from)
    if (isCut(segment, row)) this.#cuts++
  }

  remove(index: number): void {
    const [segment, row] = [this.#segments[index]!, this.#rows[index]!]
    this.bytes -= segment.spans.bytes(row)
    if (isCut(segment, row)) this.#cuts--
    if (index === 0) this.#removeFirst()
    else {
      this.#segments.splice(index, 1)
      this.#rows.splice(index, 1)
    }
  }

  /** Nothing happens when it is not there. */
  removeSpan({ segment, row }: PartitionSpan): void {
    const index = this.#indexOf(segment, row)
    if (index >= 0) this.remove(index)
  }

  #removeFirst(): void {
    this.#segments.shift()
    this.#rows.shift()
    this.firstOffset = this.at(0)?.firstOffset ?? Number.POSITIVE_INFINITY
  }

  #endOffset(index: number): number {
    return this.#segments[index]!.spans.endOffset(this.#rows[index]!)
  }

  #indexOf(segment: Segment, row: number): number {
    for (let index = 0; index < this.length; index++) {
      if (this.#segments[index] === segment && this.#rows[index] === row) return index
    }
    return -1
  }
}

const isCut = ({ spans }: Segment, row: number): boolean => spans.from(row) > spans.firstOffset(row)
