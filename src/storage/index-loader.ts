import type { Logger } from '../platform/logger.ts'
import type { BlockCache } from './block-cache.ts'
import { encodeFooter, readFooter } from './footer.ts'
import { describeFrame } from './frame-indexer.ts'
import { FrameWalk } from './frame-walk.ts'
import { firstGroupPosition } from './layout.ts'
import type { Segment } from './segment.ts'
import { SegmentSpans } from './segment-spans.ts'
import type { Tail } from './tail.ts'

/** Block indexes of sealed segments kept in memory, least recently used out first. */
const maxSegments = 8

/**
 * Brings block indexes of sealed segments into memory and lets go of others. From the footer; by a scan of the segment when the footer
 * is damaged.
 */
export class IndexLoader {
  readonly #logger: Logger
  readonly #tail: Tail
  readonly #cache: BlockCache
  readonly #loaded = new Set<Segment>()
  readonly #loading = new Map<Segment, Promise<void>>()

  constructor(logger: Logger, tail: Tail, cache: BlockCache) {
    this.#logger = logger
    this.#tail = tail
    this.#cache = cache
  }

  /** Resolves when every span of the segment has its blocks. */
  async load(segment: Segment): Promise<void> {
    let loading = this.#loading.get(segment)
    if (loading === undefined) {
      loading = this.#read(segment).finally(() => this.#loading.delete(segment))
      this.#loading.set(segment, loading)
    }
    await loading
    this.touch(segment)
  }

  /** The segment's index was used; the one that was used least lately is dropped when there are too many. */
  touch(segment: Segment): void {
    this.#loaded.delete(segment)
    this.#loaded.add(segment)
    for (const oldest of this.#loaded) {
      if (this.#loaded.size <= maxSegments) return
      this.forget(oldest)
    }
  }

  forget(segment: Segment): void {
    this.#loaded.delete(segment)
    if (segment.hasFooter) segment.spans.release()
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
