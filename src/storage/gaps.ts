import { type PartitionId, partitionId } from '../core/brand.ts'
import type { Gap, GapReason } from './log.ts'

/** What the oldest gap records were summed to. */
export interface SummedGaps {
  readonly count: number
  readonly records: number
}

/**
 * The holes of the log. Adjacent ones of the same partition and reason are one; past `maxGaps` the oldest are summed, so that a long
 * outage cannot fill the log with records of its own losses.
 */
export class Gaps {
  readonly #maxGaps: number
  #gaps: Gap[] = []
  #summed: SummedGaps = { count: 0, records: 0 }

  constructor(maxGaps: number) {
    this.#maxGaps = maxGaps
  }

  get list(): readonly Gap[] {
    return this.#gaps
  }

  get summed(): SummedGaps {
    return this.#summed
  }

  set summed(value: SummedGaps) {
    this.#summed = value
  }

  /** Takes a hole in; what is known of it already changes nothing. Returns false when all of it was known. */
  add(gap: Gap): boolean {
    if (this.covers(gap.partition, gap.first, gap.last)) return false
    const index = this.#gaps.findIndex(other => touches(other, gap))
    if (index < 0) this.#gaps.push(gap)
    else this.#gaps[index] = join(this.#gaps[index]!, gap)
    while (this.#gaps.length > this.#maxGaps) this.#sum(this.#gaps.shift()!)
    return true
  }

  covers(partition: PartitionId, first: number, last: number): boolean {
    return this.#gaps.some(gap => gap.partition === partition && gap.first <= first && gap.last >= last)
  }

  /** The partition is gone, its holes with it. */
  removePartition(partition: number): void {
    this.#gaps = this.#gaps.filter(gap => gap.partition !== partitionId(partition))
  }

  clear(): void {
    this.#gaps = []
    this.#summed = { count: 0, records: 0 }
  }

  #sum(gap: Gap): void {
    const { count, records } = this.#summed
    this.#summed = { count: count + 1, records: records + gap.last - gap.first + 1 }
  }
}

export const gapReasons: readonly GapReason[] = ['budget', 'retention', 'damage']

const touches = (one: Gap, other: Gap): boolean =>
  one.partition === other.partition &&
  one.reason === other.reason &&
  one.first <= other.last + 1 &&
  other.first <= one.last + 1

const join = (one: Gap, other: Gap): Gap => ({
  ...other,
  first: Math.min(one.first, other.first),
  last: Math.max(one.last, other.last),
})
