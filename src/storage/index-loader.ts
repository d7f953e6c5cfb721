import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Logger } from '../platform/logger.ts'
import type { BlockCache } from './block-cache.ts'
import type { BlockIndex } from './block-index.ts'
import { encodeFooter, readFooter } from './footer.ts'
import { describeFrame } from './frame-indexer.ts'
import { FrameWalk } from './frame-walk.ts'
import { firstGroupPosition } from './layout.ts'
import type { PartitionSpan } from './partition-span.ts'
import type { Segment } from './segment.ts'
import { SegmentSpans } from './segment-spans.ts'
import type { Tail } from './tail.ts'

/**
 * Brings block indexes of sealed segments into memory and lets go of those that were used least lately. From the footer; by a scan of the segment when
 * the footer is damaged.
 */
export class IndexLoader {
  readonly #logger: Logger
  readonly #tail: Tail
  readonly #cache: BlockCache
  readonly #memory: MemoryBudget
  readonly #limitBytes: number
  /** Segments whose indexes may be dropped, and their bytes; in order of use. */
  readonly #loaded = new Map<Segment, number>()
  readonly #loading = new Map<Segment, Promise<void>>()
  #bytes = 0

  constructor(parts: { logger: Logger; tail: Tail; cache: BlockCache; memory: MemoryBudget }, limitBytes: number) {
    this.#logger = parts.logger
    this.#tail = parts.tail
    this.#cache = parts.cache
    this.#memory = parts.memory
    this.#limitBytes = limitBytes
  }

  /** The blocks of a span as they are now. */
  async blocks(span: PartitionSpan): Promise<BlockIndex> {
    const { segment } = span
    for (;;) {
      const { blocks } = span
      if (blocks !== undefined) {
        if (this.#loaded.has(segment)) this.touch(segment)
        return blocks
      }
      let loading = this.#loading.get(segment)
      if (loading === undefined) {
        loading = this.#read(segment).finally(() => this.#loading.delete(segment))
        this.#loading.set(segment, loading)
      }
      await loading
      // others that come may drop it again before it was used
      this.touch(segment)
    }
  }

  /** The index of a sealed segment was used. */
  touch(segment: Segment): void {
    this.#take(segment)
    const bytes = segment.spans.blockBytes
    this.#loaded.set(segment, bytes)
    this.#bytes += bytes
    this.#memory.take(bytes)
    for (const oldest of this.#loaded.keys()) {
      if (this.#bytes <= this.#limitBytes || oldest === segment) return
      this.forget(oldest)
    }
  }

  forget(segment: Segment): void {
    this.#take(segment)
    if (segment.hasFooter) segment.spans.release()
  }

  /** Gives back all memory. */
  clear(): void {
    for (const segment of this.#loaded.keys()) this.forget(segment)
  }

  #take(segment: Segment): void {
    const bytes = this.#loaded.get(segment) ?? 0
    this.#loaded.delete(segment)
    this.#bytes -= bytes
    this.#memory.give(bytes)
  }

  async #read(segment: Segment): Promise<void> {
    segment.readers++
    try {
      if (await readFooter(segment)) return
      this.#logger.warn({ segment: segment.sequence }, 'the footer of a segment is damaged, the segment is scanned')
      const { spans } = segment
      const { scanned, rows } = await scanIndex(segment, this.#tail, this.#cache)
      spans.takeBlocks(scanned, rows)
      for (let row = 0; row < spans.size; row++) {
        // nothing of it can be read: whoever reads walks the segment and finds that out
        if (!rows.has(row)) {
          const [first, seen] = [spans.firstOffset(row), spans.maxTimestamp(row)]
          spans.addBlock(row, first, firstGroupPosition, 0, seen, spans.firstLogAge(row))
        }
      }
    } finally {
      segment.readers--
    }
  }
}

/** The indexes of a segment's spans made again from its frames, over damaged stretches too. */
const scanIndex = async (
  segment: Segment,
  tail: Tail,
  cache: BlockCache,
): Promise<{ scanned: SegmentSpans; rows: Map<number, number> }> => {
  const scanned = new SegmentSpans()
  scanned.keepBlocks()
  /** Where each of the segment's rows is in what was scanned. */
  const rows = new Map<number, number>()
  const walk = new FrameWalk(segment, firstGroupPosition, tail, cache)
  walk.aheadEnd = segment.end
  while (await walk.find()) {
    const frame = describeFrame(walk.buffer, walk.at, walk.position)
    const { partition, baseOffset, logAge } = frame
    const row = segment.spans.rowHolding(partition, baseOffset)
    if (row !== undefined) {
      let made = rows.get(row)
      if (made === undefined) rows.set(row, (made = scanned.add(partition, baseOffset, logAge)))
      if (baseOffset >= scanned.endOffset(made)) scanned.index(made, frame)
    }
    walk.skip()
  }
  return { scanned, rows }
}

/**
 * Writes the footer behind the groups of a sealed segment. Durable when it resolves; false when damage has left no room for it: it never
 * stands where data is.
 */
export const writeFooter = async (segment: Segment, logAge: number): Promise<boolean> => {
  const footer = encodeFooter(segment, logAge)
  const { file } = segment.slot
  const position = segment.header.slotBytes - footer.length
  if (position < segment.end) return false
  await file.write(footer, position)
  await file.sync()
  return true
}
