import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import { alignDown, indexBlockBytes } from './layout.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

/** Blocks read at once: readers go forward. */
const readaheadBlocks = 4
const maxReads = 2

interface CachedBlock {
  readonly window: Window
  /** Of the durable data when the block was read; the active segment grows past it. */
  readonly validEnd: number
}

/**
 * Blocks of 64 KiB of all slots, least recently used first out, for all partitions together. At most two reads are under way. Buffers
 * are never written again once they are here, so that views of them may be given out.
 */
export class BlockCache {
  readonly #limitBytes: number
  readonly #memory: MemoryBudget
  readonly #metrics: Metrics
  /** In order of use. */
  readonly #blocks = new Map<string, CachedBlock>()
  readonly #loads = new Map<string, Promise<void>>()
  readonly #queue: (() => void)[] = []
  #reads = 0
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
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    this.#metrics.add('storageBlockCacheHits')
    return block.window
  }

  /**
   * A window that holds all of `[position, position + length)`: the block itself, or a copy where it spans blocks. The range must lie
   * below the segment's end. Rejects with the error of the device.
   */
  async load(segment: Segment, position: number, length: number): Promise<Window> {
    const first = alignDown(position, indexBlockBytes)
    const last = alignDown(position + length - 1, indexBlockBytes)
    for (let start = first; start <= last; start += indexBlockBytes) {
      const wanted = Math.min(start + indexBlockBytes, position + length)
      const key = blockKey(segment, start)
      const cached = this.#blocks.get(key)
      if (cached === undefined || cached.validEnd < wanted) await this.#loadBlock(segment, start, last)
    }
    return this.window(segment, position, length) ?? (await this.#join(segment, position, length))
  }

  /** The slot is about to be reused. */
  drop(segment: Segment): void {
    const prefix = `${segment.name}:`
    for (const [key, block] of this.#blocks) if (key.startsWith(prefix)) this.#forget(key, block)
  }

  /** Gives back all memory. */
  clear(): void {
    for (const [key, block] of this.#blocks) this.#forget(key, block)
  }

  async #loadBlock(segment: Segment, start: number, last: number): Promise<void> {
    const key = blockKey(segment, start)
    const running = this.#loads.get(key)
    if (running !== undefined) {
      await running
      return
    }
    const load = this.#read(segment, start, last)
    this.#loads.set(key, load)
    try {
      await load
    } finally {
      this.#loads.delete(key)
    }
  }

  /** Reads from `start` on: what is asked for and some blocks ahead, up to the end of the durable data. */
  async #read(segment: Segment, start: number, last: number): Promise<void> {
    if (this.#reads >= maxReads) await new Promise<void>(resume => this.#queue.push(resume))
    this.#reads++
    segment.readers++
    try {
      const validEnd = segment.end
      const wantedEnd = Math.max(last + indexBlockBytes, start + readaheadBlocks * indexBlockBytes)
      // all of it is overwritten, or its checksums do not fit
      const buffer = Buffer.allocUnsafeSlow(Math.min(wantedEnd, validEnd) - start)
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
    this.#blocks.set(key, { window, validEnd })
    this.#bytes += window.buffer.length
    this.#memory.take(window.buffer.length)
    for (const [oldest, block] of this.#blocks) {
      if (this.#bytes <= this.#limitBytes || oldest === key) break
      this.#forget(oldest, block)
    }
  }

  #forget(key: string, block: CachedBlock): void {
    this.#blocks.delete(key)
    this.#bytes -= block.window.buffer.length
    this.#memory.give(block.window.buffer.length)
  }

  /** Copies a range that spans blocks; blocks that were pushed out meanwhile are read once more, past the cache. */
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
        await segment.slot.file.read(buffer, position)
      } finally {
        segment.readers--
      }
    }
    return { buffer, start: position, end: position + length, trusted: false }
  }
}

const blockKey = (segment: Segment, start: number): string => `${segment.name}:${start}`
