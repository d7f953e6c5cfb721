import type { OffsetRange } from '../state/mqtt-shares.ts'

/** A set of offsets, kept as ranges in their order; the last may have no end (`Infinity`). */
export class OffsetRanges {
  readonly #ranges: OffsetRange[]

  /** `ranges`: ascending, apart from each other. */
  constructor(ranges: Iterable<OffsetRange> = []) {
    this.#ranges = [...ranges]
  }

  /** The lowest offset; undefined: there is none. */
  get first(): number | undefined {
    return this.#ranges[0]?.[0]
  }

  /** Where the range without an end begins; undefined: there is none. */
  get tail(): number | undefined {
    const last = this.#ranges.at(-1)
    return last?.[1] === Number.POSITIVE_INFINITY ? last[0] : undefined
  }

  has(offset: number): boolean {
    const range = this.#ranges[this.#indexAfter(offset)]
    return range !== undefined && range[0] <= offset
  }

  /** The lowest offset from `offset` on. */
  from(offset: number): number | undefined {
    const range = this.#ranges[this.#indexAfter(offset)]
    return range && Math.max(range[0], offset)
  }

  /** How many offsets lie in `[start, end)`. */
  countIn(start: number, end: number): number {
    let count = 0
    for (let index = this.#indexAfter(start); index < this.#ranges.length; index++) {
      const [from, to] = this.#ranges[index]!
      if (from >= end) break
      count += Math.min(to, end) - Math.max(from, start)
    }
    return count
  }

  /** Adds `[start, end)`. */
  add(start: number, end: number): void {
    // one that ends where this begins becomes one with it
    const index = this.#indexAfter(start - 1)
    let [from, to] = [start, end]
    let count = 0
    for (; index + count < this.#ranges.length; count++) {
      const range = this.#ranges[index + count]!
      if (range[0] > end) break
      from = Math.min(from, range[0])
      to = Math.max(to, range[1])
    }
    this.#ranges.splice(index, count, [from, to])
  }

  /** Takes `[start, end)` out. */
  delete(start: number, end: number): void {
    if (start >= end) return
    const index = this.#indexAfter(start)
    const rest: OffsetRange[] = []
    let count = 0
    for (; index + count < this.#ranges.length; count++) {
      const [from, to] = this.#ranges[index + count]!
      if (from >= end) break
      if (from < start) rest.push([from, start])
      if (to > end) rest.push([end, to])
    }
    this.#ranges.splice(index, count, ...rest)
  }

  [Symbol.iterator](): Iterator<OffsetRange> {
    return this.#ranges[Symbol.iterator]()
  }

  /** Of the first range that ends behind `offset`. */
  #indexAfter(offset: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ranges[middle]![1] > offset) high = middle
      else low = middle + 1
    }
    return low
  }
}
