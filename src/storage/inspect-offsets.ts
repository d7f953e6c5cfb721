import type { MissingOffsets } from './inspect-damage.ts'
import type { WalkedFrame } from './inspect-frames.ts'

/** Follows the offsets of all partitions through the log. */
export class OffsetTrail {
  /** Holes that were met, at most `maxMissing` of them. */
  missing: MissingOffsets[] = []
  readonly #maxMissing: number
  readonly #ends = new Map<number, number>()
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

  /** False: the offsets go back. */
  take({ partition, firstOffset, lastOffset }: WalkedFrame): boolean {
    const expected = this.#ends.get(partition)
    if (expected !== undefined && firstOffset < expected) return false
    this.#ends.set(partition, lastOffset + 1)
    if (expected !== undefined && firstOffset > expected) {
      this.addMissing({ partition, first: expected, last: firstOffset - 1 })
    }
    return true
  }

  /** A cold segment answers for these offsets. */
  held({ partition, first, last }: MissingOffsets): void {
    this.missing = this.missing.flatMap(hole => {
      if (hole.partition !== partition || hole.first > last || hole.last < first) return [hole]
      const below = hole.first < first ? [{ ...hole, last: first - 1 }] : []
      const above = hole.last > last ? [{ ...hole, first: last + 1 }] : []
      return [...below, ...above]
    })
  }

  /** Notes a hole unless it lies in one that was met. */
  addMissing(missing: MissingOffsets): void {
    const isKnown = this.missing.some(
      ({ partition, first, last }) => partition === missing.partition && first <= missing.first && last >= missing.last,
    )
    if (!isKnown && this.missing.length < this.#maxMissing) this.missing.push(missing)
  }
}
