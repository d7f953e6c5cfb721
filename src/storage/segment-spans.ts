import type { PartitionSpan } from './partition-span.ts'

/**
 * The spans of one segment, in the order in which they began. A hot segment has one for each of its partitions; a cold one may hold several
 * stretches of the same partition, in any order of offsets.
 */
export class SegmentSpans {
  readonly #all: PartitionSpan[] = []
  readonly #newest = new Map<number, PartitionSpan>()

  get size(): number {
    return this.#all.length
  }

  /** The span of the partition that began last. */
  get(partition: number): PartitionSpan | undefined {
    return this.#newest.get(partition)
  }

  has(partition: number): boolean {
    return this.#newest.has(partition)
  }

  /** Partitions, each once. */
  keys(): Iterable<number> {
    return this.#newest.keys()
  }

  values(): Iterable<PartitionSpan> {
    return this.#all.values()
  }

  /** The span of the partition that holds the offset. */
  holding(partition: number, offset: number): PartitionSpan | undefined {
    const newest = this.#newest.get(partition)
    if (newest === undefined) return undefined
    if (holds(newest, offset)) return newest
    return this.#all.find(span => span.partition === partition && holds(span, offset))
  }

  add(span: PartitionSpan): void {
    this.#all.push(span)
    this.#newest.set(span.partition, span)
  }

  clear(): void {
    this.#all.length = 0
    this.#newest.clear()
  }
}

const holds = (span: PartitionSpan, offset: number): boolean => offset >= span.firstOffset && offset < span.endOffset
