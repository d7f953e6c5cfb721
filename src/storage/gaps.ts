import { type PartitionId, partitionId } from '../core/brand.ts'
import type { Gap, GapReason, SummedGaps } from './log.ts'

/**
 * The holes of the log. Adjacent ones of the same partition and reason are one; past `maxGaps` the oldest are summed, so that a long
 * outage cannot fill the log with records of its own losses.
 */
export class Gaps {
  readonly #maxGaps: number
  /** By the number under which each was taken in first: oldest first. */
  readonly #gaps = new Map<number, Gap>()
  /** Numbers of each partition's, oldest first: eviction adds one for each of thousands of partitions at once. */
  readonly #numbers = new Map<PartitionId, number[]>()
  #nextNumber = 0
  /** No gap has a lower number. */
  #oldestNumber = 0
  #summedCount = 0
  #summedRecords = 0

  constructor(maxGaps: number) {
    this.#maxGaps = maxGaps
  }

  get list(): readonly Gap[] {
    return [...this.#gaps.values()]
  }

  get summed(): SummedGaps {
    return { count: this.#summedCount, records: this.#summedRecords }
  }

  set summed({ count, records }: SummedGaps) {
    this.#summedCount = count
    this.#summedRecords = records
  }

  /** Takes a hole in; what is known of it already changes nothing. Returns false when all of it was known. */
  add(gap: Gap): boolean {
    if (this.covers(gap.partition, gap.first, gap.last)) return false
    const touched = this.#find(gap.partition, other => touches(other, gap))
    if (touched === undefined) this.#insert(gap)
    else this.#gaps.set(touched, join(this.#gaps.get(touched)!, gap))
    while (this.#gaps.size > this.#maxGaps) this.#sumOldest()
    return true
  }

  covers(partition: PartitionId, first: number, last: number): boolean {
    return this.#find(partition, gap => gap.first <= first && gap.last >= last) !== undefined
  }

  /** The partition is gone, its holes with it. */
  removePartition(partition: number): void {
    for (const number of this.#numbers.get(partitionId(partition)) ?? []) this.#gaps.delete(number)
    this.#numbers.delete(partitionId(partition))
  }

  clear(): void {
    this.#gaps.clear()
    this.#numbers.clear()
    this.summed = { count: 0, records: 0 }
  }

  #find(partition: PartitionId, isWanted: (gap: Gap) => boolean): number | undefined {
    for (const number of this.#numbers.get(partition) ?? []) if (isWanted(this.#gaps.get(number)!)) return number
    return undefined
  }

  #insert(gap: Gap): void {
    const number = this.#nextNumber++
    this.#gaps.set(number, gap)
    const others = this.#numbers.get(gap.partition)
    if (others === undefined) this.#numbers.set(gap.partition, [number])
    else others.push(number)
  }

  #sumOldest(): void {
    while (!this.#gaps.has(this.#oldestNumber)) this.#oldestNumber++
    const { partition, first, last } = this.#gaps.get(this.#oldestNumber)!
    this.#gaps.delete(this.#oldestNumber)
    this.#summedCount++
    this.#summedRecords += last - first + 1
    const numbers = this.#numbers.get(partition)!
    // its partition's oldest as well
    numbers.shift()
    if (numbers.length === 0) this.#numbers.delete(partition)
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
