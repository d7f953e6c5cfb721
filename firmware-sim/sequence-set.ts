/**
 * A set of sequence numbers as sorted ranges. Sequences come almost in order, so a run of millions stays a handful of ranges.
 */
export class SequenceSet {
  private readonly firsts: number[] = []
  private readonly lasts: number[] = []
  private count = 0

  static fromRanges(ranges: readonly (readonly [number, number])[]): SequenceSet {
    const set = new SequenceSet()
    for (const [first, last] of ranges) set.addRange(first, last)
    return set
  }

  get size(): number {
    return this.count
  }

  /** Adds a sequence number; false when it was there before. */
  add(sequence: number): boolean {
    const index = this.rangeFrom(sequence)
    const isInside = index < this.firsts.length && this.firsts[index]! <= sequence
    if (isInside) return false
    this.count++
    const touchesBefore = index > 0 && this.lasts[index - 1] === sequence - 1
    const touchesAfter = this.firsts[index] === sequence + 1
    if (touchesBefore && touchesAfter) {
      this.lasts[index - 1] = this.lasts[index]!
      this.firsts.splice(index, 1)
      this.lasts.splice(index, 1)
    } else if (touchesBefore) this.lasts[index - 1] = sequence
    else if (touchesAfter) this.firsts[index] = sequence
    else {
      this.firsts.splice(index, 0, sequence)
      this.lasts.splice(index, 0, sequence)
    }
    return true
  }

  has(sequence: number): boolean {
    const first = this.firsts[this.rangeFrom(sequence)]
    return first !== undefined && first <= sequence
  }

  /** Ranges, both ends included, in order. */
  ranges(): [number, number][] {
    return this.firsts.map((first, index) => [first, this.lasts[index]!])
  }

  /** Those that are in this set and not in the other. */
  minus(other: SequenceSet): SequenceSet {
    const difference = new SequenceSet()
    const theirs = other.ranges()
    let index = 0
    for (const [first, last] of this.ranges()) {
      let from = first
      while (index < theirs.length && theirs[index]![1] < from) index++
      for (let next = index; next < theirs.length && theirs[next]![0] <= last; next++) {
        const [theirFirst, theirLast] = theirs[next]!
        if (theirFirst > from) difference.addRange(from, theirFirst - 1)
        from = Math.max(from, theirLast + 1)
      }
      if (from <= last) difference.addRange(from, last)
    }
    return difference
  }

  toJSON(): [number, number][] {
    return this.ranges()
  }

  /** Adds a whole range behind all that is there. @throws where it is not behind it. */
  private addRange(first: number, last: number): void {
    const end = this.lasts.at(-1) ?? Number.NEGATIVE_INFINITY
    if (!(first > end && last >= first)) throw new RangeError(`range ${first}-${last} does not follow ${end}`)
    this.count += last - first + 1
    if (end === first - 1) this.lasts[this.lasts.length - 1] = last
    else {
      this.firsts.push(first)
      this.lasts.push(last)
    }
  }

  /** Index of the first range that ends at or after the sequence number. */
  private rangeFrom(sequence: number): number {
    let low = 0
    let high = this.lasts.length
    // in order is the rule: look at the end first
    if (high > 0 && this.lasts[high - 1]! < sequence) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.lasts[middle]! < sequence) low = middle + 1
      else high = middle
    }
    return low
  }
}
