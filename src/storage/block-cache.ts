import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import { alignDown, indexBlockBytes } from './layout.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

/** Read at once at most, where a reader says that it goes on. */
const readBytes = 4 * indexBlockBytes
const maxReads = 2
/** Of a slot: positions have 32 bits. */
const mostBlocks = 2 ** 32 / indexBlockBytes
/** Of the stretch that readers share, so that what they are busy with stays beside it. */
const prefetchShare = 3 / 4

interface CachedBlock {
  readonly window: Window
  /** Of the durable data when the block was read; the active segment grows past it. */
  readonly validEnd: number
  /** The higher, the later. */
  usedAt: number
}

/**
 * Blocks of 64 KiB of all slots, least recently used first out, for all partitions together. At most two reads are under way. Buffers
 * are never written again once they are here, so that views of them may be given out.
 */
export class BlockCache {
  readonly #limitBytes: number
  readonly #memory: MemoryBudget
  readonly #metrics: Metrics
  readonly #blocks = new Map<number, CachedBlock>()
  readonly #loads = new Map<number, Promise<void>>()
  readonly #queue: (() => void)[] = []
  #reads = 0
  #uses = 0
  #bytes = 0

  constructor(limitBytes: number, memory: MemoryBudget, metrics: Metrics) {
    this.#limitBytes = limitBytes
    this.#memory = memory
    this.#metrics = metrics
  }

  /** The block that holds all of `[position, position + length)`, if it is in memory. */
  window(segment: Segment, position: number, length: number): Window | undefined {
    const start = alignDown(position, indexBlockBytes)
    const key = blockKey(segment, start)
    const block = this.#blocks.get(key)
    if (block === undefined || position + length > start + block.window.buffer.length) return undefined
    if (position + length > block.validEnd) return undefined
    block.usedAt = ++this.#uses
    this.#metrics.add('storageBlockCacheHits')
    return block.window
  }

  /** Readers at the same place find each other's blocks while they are no more than this apart. */
  get sharedBytes(): number {
    return this.#limitBytes / 2
  }

  /**
   * A window that holds all of `[position, position + length)`: the block itself, or a copy where it spans blocks. The range must lie
   * below the segment's end. All bytes up to `aheadEnd` will be asked for as well; of a block behind that only the range is read. Rejects with the error
   * of the device.
   */
  async load(segment: Segment, position: number, length: number, aheadEnd: number): Promise<Window> {
    const first = alignDown(position, indexBlockBytes)
    const end = Math.max(first + indexBlockBytes, aheadEnd)
    for (let start = first; start < Math.min(end, position + length); start += indexBlockBytes) {
      const wanted = Math.min(start + indexBlockBytes, position + length)
      if (!this.#has(segment, start, wanted)) await this.#loadFrom(segment, start, end)
    }
    return this.window(segment, position, length) ?? (await this.#join(segment, position, length))
  }

  /**
   * Begins to read what follows the block at `position`, up to `aheadEnd` and no further than one read, while that is worked on. What is here of it
   * stays.
   */
  ahead(segment: Segment, position: number, aheadEnd: number): void {
    const next = alignDown(position, indexBlockBytes) + indexBlockBytes
    const end = Math.min(aheadEnd, next + readBytes, segment.end)
    for (let start = next; start < end; start += indexBlockBytes) {
      const block = this.#blocks.get(blockKey(segment, start))
      if (block !== undefined) {
        block.usedAt = ++this.#uses
        continue
      }
      // whoever needs it reads it again, and hears why that fails
      this.#loadFrom(segment, start, aheadEnd).catch(() => {})
      return
    }
  }

  /** Many are about to read on from `position`: while they are busy with what is here, one read goes on with the stretch that comes next. */
  prefetch(segment: Segment, position: number): void {
    if (this.#reads >= maxReads) return
    const end = Math.min(position + this.sharedBytes * prefetchShare, segment.end)
    for (let start = alignDown(position, indexBlockBytes); start + readBytes <= end; start += indexBlockBytes) {
      const key = blockKey(segment, start)
      if (this.#blocks.has(key) || this.#loads.has(key)) continue
      this.#loadFrom(segment, start, end).catch(() => {})
      return
    }
  }

  /** The slot is about to be reused. */
  drop(segment: Segment): void {
    const first = blockKey(segment, 0)
    for (const [key, block] of this.#blocks) if (key >= first && key < first + mostBlocks) this.#forget(key, block)
  }

  /** Gives back all memory. */
  clear(): void {
    for (const [key, block] of this.#blocks) this.#forget(key, block)
  }

  #has(segment: Segment, start: number, end: number): boolean {
    const block = this.#blocks.get(blockKey(segment, start))
    return block !== undefined && block.validEnd >= end
  }

  /** Reads the block at `start`, and with it those up to `end` that are neither here nor on their way, as far as one read goes. */
  async #loadFrom(segment: Segment, start: number, end: number): Promise<void> {
    const running = this.#loads.get(blockKey(segment, start))
    if (running !== undefined) return running
    const keys = [blockKey(segment, start)]
    let blocksEnd = start + indexBlockBytes
    while (blocksEnd < Math.min(end, start + readBytes, segment.end)) {
      const key = blockKey(segment, blocksEnd)
      if (this.#blocks.has(key) || this.#loads.has(key)) break
      keys.push(key)
      blocksEnd += indexBlockBytes
    }
    const load = this.#read(segment, start, blocksEnd).finally(() => {
      for (const key of keys) this.#loads.delete(key)
    })
    for (const key of keys) this.#loads.set(key, load)
    return load
  }

  async #read(segment: Segment, start: number, end: number): Promise<void> {
    if (this.#reads >= maxReads) await new Promise<void>(resume => this.#queue.push(resume))
    this.#reads++
    segment.readers++
    try {
      // of the active segment what is durable now
      const validEnd = segment.end
      // all of it is overwritten, or its checksums do not fit
      const buffer = Buffer.allocUnsafeSlow(Math.min(end, validEnd) - start)
      this.#metrics.add('storageBlockCacheMisses')
      await segment.slot.file.read(buffer, start)
      for (let at = 0; at < buffer.length; at += indexBlockBytes) {
        const block = buffer.subarray(at, Math.min(at + indexBlockBytes, buffer.length))
        this.#insert(
          segment,
          { buffer: block, start: start + at, end: start + at + block.length, trusted: false },
          validEnd,
        )
      }
    } finally {
      segment.readers--
      this.#reads--
      this.#queue.shift()?.()
    }
  }

  #insert(segment: Segment, window: Window, validEnd: number): void {
    const key = blockKey(segment, window.start)
    const before = this.#blocks.get(key)
    if (before !== undefined) this.#forget(key, before)
    this.#blocks.set(key, { window, validEnd, usedAt: ++this.#uses })
    this.#bytes += window.buffer.length
    this.#memory.take(window.buffer.length)
    while (this.#bytes > this.#limitBytes && this.#blocks.size > 1) this.#forgetOldest()
  }

  #forgetOldest(): void {
    let [oldest, usedAt] = [0, Number.POSITIVE_INFINITY]
    for (const [key, block] of this.#blocks) if (block.usedAt < usedAt) [oldest, usedAt] = [key, block.usedAt]
    this.#forget(oldest, this.#blocks.get(oldest)!)
  }

  #forget(key: number, block: CachedBlock): void {
    this.#blocks.delete(key)
    this.#bytes -= block.window.buffer.length
    this.#memory.give(block.window.buffer.length)
  }

  /** Copies a range that spans blocks; what is not here, or was pushed out meanwhile, is read past the cache. */
  async #join(segment: Segment, position: number, length: number): Promise<Window> {
    const buffer = Buffer.alloc(length)
    let done = 0
    while (done < length) {
      const at = position + done
      const start = alignDown(at, indexBlockBytes)
      const block = this.#blocks.get(blockKey(segment, start))
      const part = Math.min(length - done, start + indexBlockBytes - at)
      if (block === undefined || block.validEnd < at + part) break
      block.window.buffer.copy(buffer, done, at - start, at - start + part)
      done += part
    }
    if (done < length) {
      segment.readers++
      try {
        await segment.slot.file.read(buffer.subarray(done), position + done)
      } finally {
        segment.readers--
      }
    }
    return { buffer, start: position, end: position + length, trusted: false }
  }
}

/** Numbers, since each batch that is read asks for its block. */
const blockKey = ({ sequence, isCold }: Segment, start: number): number =>
  (sequence * 2 + (isCold ? 1 : 0)) * mostBlocks + start / indexBlockBytes
