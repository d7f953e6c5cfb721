import { indexBlockBytes } from './layout.ts'

/** Offsets and timestamps of one entry, side by side. */
const wideStride = 2
/** Position, bytes before, log age, and the entry before it of the same span, side by side. */
const narrowStride = 4
const initialEntries = 16
/** Memory of an entry. */
export const blockEntryBytes = wideStride * 8 + narrowStride * 4

/** Stands where a span has no (earlier) entry. */
export const noEntry = 0xffff_ffff

/**
 * Sparse index of one segment: for each of its spans an entry for every 64 KiB stretch in which that has frames. Its size does not depend on the
 * number of batches, and nothing in it is an object: entries of a span are chained, the newest one first.
 */
export class SegmentBlocks {
  size = 0
  #wide = new Float64Array(initialEntries * wideStride)
  #narrow = new Uint32Array(initialEntries * narrowStride)

  /** Returns the entry. `maxTimestamp` is of the first frame alone for now; `raise` follows. */
  add(
    before: number,
    firstOffset: number,
    position: number,
    bytesBefore: number,
    maxTimestamp: number,
    logAge: number,
  ): number {
    const entry = this.size++
    if (this.#wide.length < this.size * wideStride) this.#grow()
    const [wide, narrow] = [entry * wideStride, entry * narrowStride]
    this.#wide[wide] = firstOffset
    this.#wide[wide + 1] = maxTimestamp
    this.#narrow[narrow] = position
    this.#narrow[narrow + 1] = bytesBefore
    this.#narrow[narrow + 2] = logAge
    this.#narrow[narrow + 3] = before
    return entry
  }

  /** Another frame in the entry's stretch has this timestamp. */
  raise(entry: number, maxTimestamp: number): void {
    const at = entry * wideStride + 1
    if (maxTimestamp > this.#wide[at]!) this.#wide[at] = maxTimestamp
  }

  firstOffset(entry: number): number {
    return this.#wide[entry * wideStride]!
  }

  maxTimestamp(entry: number): number {
    return this.#wide[entry * wideStride + 1]!
  }

  position(entry: number): number {
    return this.#narrow[entry * narrowStride]!
  }

  bytesBefore(entry: number): number {
    return this.#narrow[entry * narrowStride + 1]!
  }

  logAge(entry: number): number {
    return this.#narrow[entry * narrowStride + 2]!
  }

  /** The entry before it of the same span, or `noEntry`. */
  before(entry: number): number {
    return this.#narrow[entry * narrowStride + 3]!
  }

  #grow(): void {
    const wide = new Float64Array(this.#wide.length * 2)
    wide.set(this.#wide)
    this.#wide = wide
    const narrow = new Uint32Array(this.#narrow.length * 2)
    narrow.set(this.#narrow)
    this.#narrow = narrow
  }
}

const stretchOf = (position: number): number => Math.floor(position / indexBlockBytes)

/** The entries of one span as they are now, oldest first. */
export class BlockIndex {
  readonly #blocks: SegmentBlocks
  readonly #entries: number[] = []

  constructor(blocks: SegmentBlocks, newest: number) {
    this.#blocks = blocks
    for (let entry = newest; entry !== noEntry; entry = blocks.before(entry)) this.#entries.push(entry)
    this.#entries.reverse()
  }

  get count(): number {
    return this.#entries.length
  }

  firstOffset(index: number): number {
    return this.#blocks.firstOffset(this.#entries[index]!)
  }

  /** Where in the slot the first frame of the stretch begins. */
  position(index: number): number {
    return this.#blocks.position(this.#entries[index]!)
  }

  /** No frame of the partition begins in the segment at or behind this position. */
  get endPosition(): number {
    return this.count === 0 ? 0 : (stretchOf(this.position(this.count - 1)) + 1) * indexBlockBytes
  }

  /** Bytes of the partition's batches in this segment before the stretch. */
  bytesBefore(index: number): number {
    return this.#blocks.bytesBefore(this.#entries[index]!)
  }

  /** Largest record timestamp in the segment up to the end of the stretch. */
  maxTimestamp(index: number): number {
    return this.#blocks.maxTimestamp(this.#entries[index]!)
  }

  /** Log age of the first frame of the stretch. */
  logAge(index: number): number {
    return this.#blocks.logAge(this.#entries[index]!)
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

  /** The entry by whose end, from that of `from` on, so many bytes of batches stand; the last one when there are fewer. */
  entryHolding(bytes: number, from: number): number {
    const end = this.bytesBefore(from) + bytes
    let entry = from
    while (entry + 1 < this.count && this.bytesBefore(entry + 1) < end) entry++
    return entry
  }

  /** Position behind the stretches that adjoin, from that of `entry` to that of `last` at most. */
  runEnd(entry: number, last: number): number {
    let end = stretchOf(this.position(entry)) + 1
    for (let next = entry + 1; next <= last && stretchOf(this.position(next)) === end; next++) end++
    return end * indexBlockBytes
  }

  /** Nothing of the stretch stands at or behind this position: what comes next has this offset, or the stretch ends before. */
  isBehind(entry: number, nextOffset: number, position: number): boolean {
    if (nextOffset >= this.firstOffset(entry + 1)) return true
    return stretchOf(position) > stretchOf(this.position(entry))
  }

  /** The first entry from `from` on by whose end a timestamp of at least `timestampMs` was seen; `count` when none. */
  entryByTimestamp(timestampMs: number, from: number): number {
    let entry = from
    while (entry < this.count && this.maxTimestamp(entry) < timestampMs) entry++
    return entry
  }
}
