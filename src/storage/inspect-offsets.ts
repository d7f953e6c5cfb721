import type { MissingOffsets } from './inspect-damage.ts'
import type { WalkedFrame } from './inspect-frames.ts'

/** Follows the offsets of all partitions through the log. */
export class OffsetTrail {
  /** Holes that were met, at most `maxMissing` of them. */
  missing: MissingOffsets[] = []
  readonly #maxMissing: number
  readonly #ends = new Map<number, number>()
  readonly #firsts = new Map<number, number>()
  readonly #held: MissingOffsets[] = []
  #hasRestarted = false

  constructor(maxMissing: number) {
    this.#maxMissing = maxMissing
  }

  /** A stretch of the log was not looked at. */
  restart(): void {
    this.#ends.clear()
    this.#hasRestarted = true
  }

  /** Offsets below `end` were given: what no frame showed up to there is missing. `logStart` is where the partition begins. */
  reach(partition: number, end: number, logStart: number): void {
    const known = this.#ends.get(partition)
    if (known === undefined && this.#hasRestarted) return
    const first = Math.max(known ?? 0, logStart)
    if (first < end) this.addMissing({ partition, first, last: end - 1 })
  }

  /** Whether all of the log was followed, from this offset of the partition on. */
  isCompleteFrom(partition: number, offset: number): boolean {
    return !this.#hasRestarted && (this.#firsts.get(partition) ?? Number.POSITIVE_INFINITY) <= offset
  }

  /** Partitions begin at their log starts: what no frame showed from there up to the first one is missing. */
  begin(logStartOf: (partition: number) => number): void {
    for (const [partition, end] of this.#firsts) {
      const first = logStartOf(partition)
      if (first < end) this.addMissing({ partition, first, last: end - 1 })
    }
  }

  /** False: the offsets go back. */
  take({ partition, firstOffset, lastOffset }: WalkedFrame): boolean {
    const expected = this.#ends.get(partition)
    if (!this.#firsts.has(partition)) this.#firsts.set(partition, firstOffset)
    if (expected !== undefined && firstOffset < expected) return false
    this.#ends.set(partition, lastOffset + 1)
    if (expected !== undefined && firstOffset > expected) {
      this.addMissing({ partition, first: expected, last: firstOffset - 1 })
    }
    return true
  }

  /** A cold segment answers for these offsets. */
  held(range: MissingOffsets): void {
    this.#held.push(range)
    this.missing = this.missing.flatMap(hole => without(hole, range))
  }

  /** What a cold segment answers for and does not have; a newer one may hold it. */
  lose(range: MissingOffsets): void {
    if (this.missing.length < this.#maxMissing) this.missing.push(range)
  }

  /** Notes a hole, but for what a cold segment answers for or lies in one that was met. */
  addMissing(missing: MissingOffsets): void {
    let left = [missing]
    for (const range of [...this.#held, ...this.missing]) left = left.flatMap(hole => without(hole, range))
    this.missing.push(...left.slice(0, this.#maxMissing - this.missing.length))
  }
}

const without = (hole: MissingOffsets, { partition, first, last }: MissingOffsets): MissingOffsets[] => {
  if (hole.partition !== partition || hole.first > last || hole.last < first) return [hole]
  const below = hole.first < first ? [{ ...hole, last: first - 1 }] : []
  const above = hole.last > last ? [{ ...hole, first: last + 1 }] : []
  return [...below, ...above]
}
