import { baseOffsetOf, byteLengthOf, hasValidCrc, maxTimestampOf } from '../wire/kafka/record-batch.ts'
import type { BlockIndex } from './block-index.ts'
import { frameCompactedAt, frameHeaderBytes, frameLastOffsetDelta, frameLogAge, framePartition } from './frame.ts'
import { FrameWalk, type NewestBytes, type StoredBytes } from './frame-walk.ts'
import { indexBlockBytes } from './layout.ts'
import type { ReadBatches } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'
import { ReadCrowd } from './read-crowd.ts'
import type { Segment } from './segment.ts'

/** Gives the block index of a span, from the device if need be. */
export type LoadBlocks = (span: PartitionSpan) => Promise<BlockIndex>

/** How far a read goes at most. */
interface Reach {
  /** Of the partition's batches. */
  readonly batchBytes: number
  readonly logBytes: number
}

const wholeSpan: Reach = { batchBytes: Number.POSITIVE_INFINITY, logBytes: Number.POSITIVE_INFINITY }

/** Offsets of a partition turned out to be unreadable. */
export type ReportLost = (log: PartitionLog, first: number, last: number) => void

/** Reads batches of a partition from memory or from the device, and the searches by timestamp. */
export class BatchReader {
  readonly #tail: NewestBytes
  readonly #cache: StoredBytes
  readonly #loadBlocks: LoadBlocks
  readonly #reportLost: ReportLost
  readonly #crowd = new ReadCrowd()

  constructor(tail: NewestBytes, cache: StoredBytes, loadBlocks: LoadBlocks, reportLost: ReportLost) {
    this.#tail = tail
    this.#cache = cache
    this.#loadBlocks = loadBlocks
    this.#reportLost = reportLost
  }

  /** As `read`, of what is durable. Throws `offsetOutOfRange` below the log start or above the log end. */
  async readDurable(log: PartitionLog, offset: number, maxBytes: number, limitOffset: number): Promise<ReadBatches> {
    log.checkRange(offset)
    const limit = Math.min(limitOffset, log.highWatermark)
    if (offset >= limit) return { batches: [], logAges: [], nextOffset: offset }
    return this.read(log, offset, maxBytes, limit)
  }

  /**
   * Batches from the one that contains `offset`, below `limit`, at most `maxBytes` but at least one; and none further on in the log than others who read
   * there come for the same blocks while these are still in memory.
   */
  async read(log: PartitionLog, offset: number, maxBytes: number, limit: number): Promise<ReadBatches> {
    const batches: Buffer[] = []
    const logAges: number[] = []
    let bytes = 0
    let nextOffset = offset
    let leftBytes = this.#cache.sharedBytes
    for (let span = spanAt(log, nextOffset); span !== undefined; span = spanAt(log, nextOffset)) {
      if (span.from >= limit) break
      let position: number | undefined
      const reach = { batchBytes: maxBytes - bytes, logBytes: leftBytes }
      for await (const found of this.batches(log, span, nextOffset, reach)) {
        leftBytes -= found.position - (position ?? found.position)
        position = found.position
        const isTooMuch = bytes + found.batch.length > maxBytes || leftBytes < 0
        if (found.baseOffset >= limit || (batches.length > 0 && isTooMuch)) return { batches, logAges, nextOffset }
        batches.push(found.batch)
        logAges.push(found.logAge)
        bytes += found.batch.length
        nextOffset = found.lastOffset + 1
        if (bytes >= maxBytes || nextOffset >= limit) return { batches, logAges, nextOffset }
      }
      nextOffset = Math.max(nextOffset, span.endOffset)
    }
    // whatever lies below the limit was visited; a hole at its end is passed too
    return { batches, logAges, nextOffset: limit }
  }

  /** Base offset of the first live batch whose maximum timestamp is at least `timestampMs`. */
  async findByTimestamp(log: PartitionLog, timestampMs: number): Promise<number | undefined> {
    for (let index = log.spanFrom(log.logStart); index < log.spans.length; index++) {
      const span = log.spans.at(index)!
      if (span.maxTimestamp < timestampMs) continue
      const blocks = await this.#loadBlocks(span)
      const start = Math.max(log.logStart, span.from)
      const entry = blocks.entryByTimestamp(timestampMs, blocks.entryOf(start))
      if (entry >= blocks.count) continue
      for await (const found of this.batches(log, span, Math.max(start, blocks.firstOffset(entry)))) {
        if (maxTimestampOf(found.batch) >= timestampMs) return found.baseOffset
      }
    }
    return undefined
  }

  /** The largest record timestamp among live batches and the batch that has it. */
  async maxTimestamp(log: PartitionLog): Promise<{ baseOffset: number; timestampMs: number } | undefined> {
    let best: { baseOffset: number; timestampMs: number } | undefined
    for (let index = log.spans.length - 1; index >= log.spanFrom(log.logStart); index--) {
      const span = log.spans.at(index)!
      if (best !== undefined && span.maxTimestamp < best.timestampMs) continue
      const blocks = await this.#loadBlocks(span)
      if (blocks.count === 0) continue
      const start = Math.max(log.logStart, span.from)
      const whole = span.firstOffset >= start
      const entry = whole ? blocks.entryByTimestamp(span.maxTimestamp, 0) : blocks.entryOf(start)
      const from = Math.max(start, blocks.firstOffset(Math.min(entry, blocks.count - 1)))
      for await (const found of this.batches(log, span, from)) {
        const timestampMs = maxTimestampOf(found.batch)
        // the earliest of equals: spans are visited newest first, batches oldest first
        const inThisSpan = best !== undefined && best.baseOffset >= span.firstOffset
        if (best === undefined || timestampMs > best.timestampMs || (timestampMs === best.timestampMs && !inThisSpan)) {
          best = { baseOffset: found.baseOffset, timestampMs }
        }
        if (whole && timestampMs === span.maxTimestamp) break
      }
    }
    return best
  }

  /**
   * Verified batches of the partition in one span, from the one that contains `offset` (or the next above it). Reads the blocks in which the index has
   * some, at once where they adjoin; all blocks within reach where others read the rest.
   */
  async *batches(
    log: PartitionLog,
    span: PartitionSpan,
    wanted: number,
    reach: Reach = wholeSpan,
  ): AsyncGenerator<FoundBatch> {
    const { segment } = span
    const offset = Math.max(wanted, span.from)
    // its slot is not reused while somebody reads in it
    segment.readers++
    let shared: FrameWalk | undefined
    try {
      const blocks = await this.#loadBlocks(span)
      if (blocks.count === 0) return
      // as far as the index goes: the active segment grows meanwhile
      const { endOffset } = span
      let entry = blocks.entryOf(offset)
      const start = blocks.position(entry)
      const lastEntry = blocks.entryHolding(reach.batchBytes, entry)
      // the others may be a stretch behind
      const isShared = reach !== wholeSpan && this.#crowd.join(log.id, segment, start, 2 * this.#cache.sharedBytes)
      // the last batch may end in the next block
      const sharedEnd = isShared ? Math.min(start + reach.logBytes + indexBlockBytes, segment.end) : 0
      const walk = new FrameWalk(segment, start, this.#tail, this.#cache)
      if (isShared) shared = walk
      // offsets within a hot segment are dense: a hole is damage. In a cold one only where the walk had to pass some
      const isMissing = (): boolean => !segment.isCold || walk.skippedDamage
      let expected = blocks.firstOffset(entry)
      walk.aheadEnd = Math.max(sharedEnd, blocks.runEnd(entry, lastEntry))
      while (expected < endOffset) {
        if (entry + 1 < blocks.count && blocks.isBehind(entry, expected, walk.position)) {
          entry++
          walk.position = Math.max(walk.position, blocks.position(entry))
          walk.aheadEnd = Math.max(sharedEnd, blocks.runEnd(entry, lastEntry))
          continue
        }
        if (walk.position >= blocks.endPosition) break
        const finding = walk.find()
        if (!(typeof finding === 'boolean' ? finding : await finding)) break
        const { buffer, at } = walk
        const baseOffset = baseOffsetOf(buffer, at + frameHeaderBytes)
        // a cold segment may hold other stretches of the partition
        if (framePartition(buffer, at) !== log.id || baseOffset < span.firstOffset || baseOffset >= endOffset) {
          walk.skip()
          continue
        }
        const lastOffset = baseOffset + frameLastOffsetDelta(buffer, at)
        if (baseOffset > expected && isMissing()) this.#lost(log, segment, Math.max(expected, offset), baseOffset - 1)
        walk.skippedDamage = false
        // before `expected`: the copy of a group that a recovery wrote again
        if (lastOffset < offset || lastOffset < expected) {
          expected = Math.max(expected, lastOffset + 1)
          walk.skip()
          continue
        }
        const logAge = frameLogAge(buffer, at)
        const compactedAt = segment.isCold ? frameCompactedAt(buffer, at) : 0
        const loading = walk.batch()
        const batch = loading instanceof Promise ? await loading : loading
        if (walk.isTrusted || (byteLengthOf(batch) === batch.length && hasValidCrc(batch))) {
          expected = lastOffset + 1
          yield { baseOffset, lastOffset, batch, logAge, compactedAt, position: walk.position }
        } else {
          // lost unless it stands in a group that was torn, and that a recovery wrote again behind it
          walk.skippedDamage = true
        }
        walk.skip()
      }
      if (expected < endOffset && isMissing()) this.#lost(log, segment, Math.max(expected, offset), endOffset - 1)
    } finally {
      if (shared !== undefined) this.#cache.prefetch(segment, shared.position)
      segment.readers--
    }
  }

  #lost(log: PartitionLog, { slot }: Segment, first: number, last: number): void {
    slot.damaged = true
    if (first <= last) this.#reportLost(log, first, last)
  }
}

export interface FoundBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly batch: Buffer
  /** Seconds, at the append. */
  readonly logAge: number
  /** Seconds, when compaction first left it in; 0 when it has not. */
  readonly compactedAt: number
  /** Of its frame in the slot. */
  readonly position: number
}

const spanAt = (log: PartitionLog, offset: number): PartitionSpan | undefined => log.spans.at(log.spanFrom(offset))
