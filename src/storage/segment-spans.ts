import { assert } from '../core/assert.ts'
import { BlockIndex, blockEntryBytes, noEntry, SegmentBlocks } from './block-index.ts'
import { footerCost, indexBlockBytes } from './layout.ts'
import type { IndexedFrame } from './segment.ts'

/** First offset, end offset, `from`, maximum timestamp, side by side. */
const wideStride = 4
/** Bytes, first log age, last log age, leader epoch, newest block entry, side by side. */
const narrowStride = 5
const initialRows = 4
const noEpoch = 0xffff_ffff

/**
 * The spans of one segment, in the order in which they began, as rows of typed arrays: there may be a million in the whole log. A hot segment has one
 * row for each of its partitions; a cold one may hold several stretches of the same partition, in any order of offsets. `PartitionSpan` shows a row.
 */
export class SegmentSpans {
  size = 0
  /** Bytes that these spans take in the footer: with their blocks, as far as these are in memory. */
  footerBytes = 0
  #partitions = new Uint32Array(initialRows)
  #wide = new Float64Array(initialRows * wideStride)
  #narrow = new Uint32Array(initialRows * narrowStride)
  /** Rows with other epochs than one that begins at the span's first offset: pairs of epoch and first offset, in order. */
  readonly #epochs = new Map<number, number[]>()
  /** Undefined while only the footer has them. */
  #blocks: SegmentBlocks | undefined
  /** The newest row of each partition; made when it is needed. */
  #newest: Map<number, number> | undefined

  /** Begins a span; its blocks are in memory when `keepBlocks` was called. Returns its row. */
  add(partition: number, firstOffset: number, logAge: number): number {
    const row = this.size++
    if (this.#partitions.length < this.size) this.#resize(2 * this.#partitions.length)
    this.#partitions[row] = partition
    const [wide, narrow] = [row * wideStride, row * narrowStride]
    this.#wide.fill(firstOffset, wide, wide + 3)
    this.#wide[wide + 3] = -1
    this.#narrow[narrow] = 0
    this.#narrow[narrow + 1] = logAge
    this.#narrow[narrow + 2] = logAge
    this.#narrow[narrow + 3] = noEpoch
    this.#narrow[narrow + 4] = noEntry
    this.#newest?.set(partition, row)
    this.footerBytes += footerCost.span
    return row
  }

  /** Takes a frame into the index of its span. */
  index(row: number, frame: IndexedFrame): void {
    assert(frame.baseOffset >= this.endOffset(row), 'offsets of a span rise')
    assert(this.#blocks !== undefined, 'the segment that is written has its index in memory')
    const { baseOffset, position, maxTimestamp } = frame
    const newest = this.#newestEntry(row)
    const stretch = Math.floor(position / indexBlockBytes)
    if (newest === noEntry || Math.floor(this.#blocks.position(newest) / indexBlockBytes) !== stretch) {
      const seen = Math.max(this.maxTimestamp(row), maxTimestamp)
      this.addBlock(row, baseOffset, position, this.bytes(row), seen, frame.logAge)
    } else this.#blocks.raise(newest, maxTimestamp)
    if (this.newestEpoch(row) !== frame.leaderEpoch) this.addEpoch(row, frame.leaderEpoch, baseOffset)
    this.setEndOffset(row, baseOffset + frame.lastOffsetDelta + 1)
    const batches = this.bytes(row) + frame.batchBytes
    this.setTotals(row, batches, Math.max(this.maxTimestamp(row), maxTimestamp), frame.logAge)
  }

  /** Blocks of these spans are in memory from now on: none yet. */
  keepBlocks(): void {
    this.#blocks ??= new SegmentBlocks()
  }

  get hasBlocks(): boolean {
    return this.#blocks !== undefined
  }

  /** Memory of the blocks. */
  get blockBytes(): number {
    return (this.#blocks?.size ?? 0) * blockEntryBytes
  }

  /** Lets go of what is needed only while the segment grows or is read: blocks, look-up, spare room. */
  release(): void {
    if (this.#blocks !== undefined) {
      this.footerBytes -= this.#blocks.size * footerCost.block
      for (let row = 0; row < this.size; row++) this.#narrow[row * narrowStride + 4] = noEntry
    }
    this.#blocks = undefined
    this.#newest = undefined
    if (this.#partitions.length > this.size) this.#resize(Math.max(initialRows, this.size))
  }

  addBlock(
    row: number,
    firstOffset: number,
    position: number,
    bytesBefore: number,
    maxTimestamp: number,
    logAge: number,
  ): void {
    assert(this.#blocks !== undefined, 'blocks are added where blocks are kept')
    const before = this.#newestEntry(row)
    const entry = this.#blocks.add(before, firstOffset, position, bytesBefore, maxTimestamp, logAge)
    this.#narrow[row * narrowStride + 4] = entry
    this.footerBytes += footerCost.block
  }

  blocks(row: number): BlockIndex | undefined {
    return this.#blocks === undefined ? undefined : new BlockIndex(this.#blocks, this.#newestEntry(row))
  }

  /** The blocks of other spans over the same frames; `rows` says which row of theirs is which of these. */
  takeBlocks(others: SegmentSpans, rows: ReadonlyMap<number, number>): void {
    this.release()
    this.#blocks = others.#blocks
    this.footerBytes += (this.#blocks?.size ?? 0) * footerCost.block
    for (const [row, other] of rows) this.#narrow[row * narrowStride + 4] = others.#newestEntry(other)
  }

  addEpoch(row: number, epoch: number, firstOffset: number): void {
    this.footerBytes += footerCost.epoch
    const pairs = this.#epochs.get(row)
    if (pairs !== undefined) pairs.push(epoch, firstOffset)
    else if (this.#narrow[row * narrowStride + 3] === noEpoch && firstOffset === this.firstOffset(row)) {
      this.#narrow[row * narrowStride + 3] = epoch
    } else this.#epochs.set(row, [...this.epochs(row), epoch, firstOffset])
  }

  /** Pairs of leader epoch and the first offset that has it, in order. */
  epochs(row: number): readonly number[] {
    const epoch = this.#narrow[row * narrowStride + 3]!
    return this.#epochs.get(row) ?? (epoch === noEpoch ? [] : [epoch, this.firstOffset(row)])
  }

  newestEpoch(row: number): number | undefined {
    const epoch = this.#narrow[row * narrowStride + 3]!
    return this.#epochs.get(row)?.at(-2) ?? (epoch === noEpoch ? undefined : epoch)
  }

  partition(row: number): number {
    return this.#partitions[row]!
  }

  firstOffset(row: number): number {
    return this.#wide[row * wideStride]!
  }

  endOffset(row: number): number {
    return this.#wide[row * wideStride + 1]!
  }

  setEndOffset(row: number, offset: number): void {
    this.#wide[row * wideStride + 1] = offset
  }

  from(row: number): number {
    return this.#wide[row * wideStride + 2]!
  }

  setFrom(row: number, offset: number): void {
    this.#wide[row * wideStride + 2] = offset
  }

  maxTimestamp(row: number): number {
    return this.#wide[row * wideStride + 3]!
  }

  bytes(row: number): number {
    return this.#narrow[row * narrowStride]!
  }

  firstLogAge(row: number): number {
    return this.#narrow[row * narrowStride + 1]!
  }

  lastLogAge(row: number): number {
    return this.#narrow[row * narrowStride + 2]!
  }

  setTotals(row: number, bytes: number, maxTimestamp: number, lastLogAge: number): void {
    this.#narrow[row * narrowStride] = bytes
    this.#narrow[row * narrowStride + 2] = lastLogAge
    this.#wide[row * wideStride + 3] = maxTimestamp
  }

  /** Row of the partition's span that began last. */
  rowOf(partition: number): number | undefined {
    this.#newest ??= this.#lookup()
    return this.#newest.get(partition)
  }

  has(partition: number): boolean {
    if (this.#newest !== undefined) return this.#newest.has(partition)
    const row = this.#partitions.indexOf(partition)
    return row >= 0 && row < this.size
  }

  /** Partitions, each once. */
  partitions(): Iterable<number> {
    this.#newest ??= this.#lookup()
    return this.#newest.keys()
  }

  /** Row of the partition's span that holds the offset. */
  rowHolding(partition: number, offset: number): number | undefined {
    const newest = this.rowOf(partition)
    if (newest === undefined || this.#holds(newest, offset)) return newest
    for (let row = this.#partitions.indexOf(partition); row >= 0 && row < newest; ) {
      if (this.#holds(row, offset)) return row
      row = this.#partitions.indexOf(partition, row + 1)
    }
    return undefined
  }

  clear(): void {
    this.release()
    this.size = 0
    this.footerBytes = 0
    this.#epochs.clear()
    this.#resize(initialRows)
  }

  #holds(row: number, offset: number): boolean {
    return offset >= this.firstOffset(row) && offset < this.endOffset(row)
  }

  #newestEntry(row: number): number {
    return this.#narrow[row * narrowStride + 4]!
  }

  #lookup(): Map<number, number> {
    const newest = new Map<number, number>()
    for (let row = 0; row < this.size; row++) newest.set(this.#partitions[row]!, row)
    return newest
  }

  #resize(rows: number): void {
    const partitions = new Uint32Array(rows)
    partitions.set(this.#partitions.subarray(0, rows))
    this.#partitions = partitions
    const wide = new Float64Array(rows * wideStride)
    wide.set(this.#wide.subarray(0, wide.length))
    this.#wide = wide
    const narrow = new Uint32Array(rows * narrowStride)
    narrow.set(this.#narrow.subarray(0, narrow.length))
    this.#narrow = narrow
  }
}
