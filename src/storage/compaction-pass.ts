import { isControl, producerIdOf } from '../wire/kafka/record-batch.ts'
import type { BatchReader, FoundBatch } from './batch-reader.ts'
import type { ColdSegment } from './cold-segment.ts'
import { type JudgedBatch, judgeBatch, type Removal, rewriteBatch, unpackedRecords } from './compact-batch.ts'
import type { KeyOffsets } from './key-offsets.ts'
import type { Compaction } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'

/** What a pass needs besides its partition. */
export interface PassParts {
  readonly reader: BatchReader
  readonly logAge: number
  /** Called after each batch: waits now and then, so that nothing else starves. */
  pause(bytes: number): Promise<void>
  onRemoved(removal: Removal, records: number): void
  onOpaque(): void
}

/**
 * One pass over a partition: first the newest offset of each key in what is new since the last pass, then every batch below the end of that is judged. All
 * of it is sealed, durable, and older than `min.compaction.lag.ms`.
 */
export class CompactionPass {
  readonly log: PartitionLog
  /** Nothing at or above is judged. */
  end: number
  /** Log age at which the first tombstone that stays may go. */
  nextTombstoneAge = Number.POSITIVE_INFINITY
  readonly #rules: Compaction
  readonly #keys: KeyOffsets
  readonly #parts: PassParts
  /** Batches that cannot be taken apart may hold older records of any key: then no tombstone goes. */
  #opaque = false

  constructor(log: PartitionLog, rules: Compaction, end: number, keys: KeyOffsets, parts: PassParts) {
    this.log = log
    this.end = end
    this.#rules = rules
    this.#keys = keys
    this.#parts = parts
  }

  /** Learns the keys from `from` on. The end comes down where a record is too young, or the table is full. */
  async learn(from: number): Promise<void> {
    const youngest = this.#parts.logAge - this.#rules.minLagMs / 1000
    for await (const { found } of this.#batches(from)) {
      if (found.logAge > youngest || !(await this.#learnBatch(found))) {
        this.end = Math.min(this.end, found.baseOffset)
        return
      }
    }
  }

  /** The spans in which something is to be changed. */
  async spansToCopy(): Promise<PartitionSpan[]> {
    const spans = new Set<PartitionSpan>()
    for await (const { found, span } of this.#batches(this.log.logStart)) {
      const judged = await this.#judge(found)
      if (judged === undefined) this.#opaque ||= !isControl(found.batch)
      else if (judged.removed.size > 0 || (judged.tombstones > 0 && found.compactedAt === 0)) spans.add(span)
      if (judged !== undefined && judged.tombstones > 0) this.#keepTombstones(found.compactedAt)
    }
    if (this.#opaque) this.nextTombstoneAge = Number.POSITIVE_INFINITY
    return [...spans]
  }

  /** Copies what stays of the span, below the end, as far as there is room; true when it is all done. */
  async copySpan(span: PartitionSpan, cold: ColdSegment): Promise<boolean> {
    const { log } = this
    const first = Math.max(span.from, log.logStart)
    if (!log.spans.includes(span) || first >= Math.min(span.endOffset, this.end)) return true
    let copy: PartitionSpan | undefined
    let next = first
    for await (const found of this.#parts.reader.batches(log, span, first)) {
      const { baseOffset, lastOffset, logAge } = found
      if (lastOffset >= this.end) break
      if (!cold.hasRoomFor(found.batch.length)) {
        if (copy !== undefined) cold.extend(copy, next)
        return false
      }
      copy ??= cold.spanFor(log.id, Math.min(first, baseOffset), logAge)
      const { batch, compactedAt } = await this.#compacted(found)
      if (batch !== undefined) cold.add(copy, batch, logAge, compactedAt)
      next = lastOffset + 1
      await this.#parts.pause(found.batch.length)
      if (cold.isDue) await cold.flush()
    }
    if (span.endOffset <= this.end) next = span.endOffset
    if (next === first) return true
    if (copy === undefined && !cold.hasRoomFor(0)) return false
    copy ??= cold.spanFor(log.id, first, span.lastLogAge)
    cold.extend(copy, next)
    return true
  }

  /** What is left of a batch, undefined when that is nothing. */
  async #compacted(found: FoundBatch): Promise<{ batch: Buffer | undefined; compactedAt: number }> {
    const { batch, baseOffset, lastOffset } = found
    const judged = await this.#judge(found)
    if (judged === undefined) return { batch, compactedAt: found.compactedAt }
    for (const [removal, records] of judged.removed) this.#parts.onRemoved(removal, records)
    const compactedAt = found.compactedAt || Math.max(1, this.#parts.logAge)
    const producerId = producerIdOf(batch)
    const isProducersLast = producerId >= 0 && this.#rules.isLastOfProducer?.(producerId, baseOffset) === true
    // without the partition's last batch a consumer would never come to its end
    const isNeeded = isProducersLast || lastOffset + 1 >= this.log.highWatermark
    if (judged.kept === 0 && !isNeeded) return { batch: undefined, compactedAt }
    const rewritten = await rewriteBatch(batch, judged)
    // compression at another level may give more bytes than were there; room was asked for these
    return { batch: rewritten.length <= batch.length ? rewritten : batch, compactedAt }
  }

  /** Undefined: all of the batch stays as it is. */
  async #judge(found: FoundBatch): Promise<JudgedBatch | undefined> {
    if (isControl(found.batch)) return undefined
    return judgeBatch(found.batch, (key, isTombstone, offset) => {
      if (key === null) return 'keyless'
      if (this.#keys.get(key) > offset) return 'superseded'
      return isTombstone && this.#mayGo(found) ? 'tombstone' : undefined
    })
  }

  #mayGo({ compactedAt }: FoundBatch): boolean {
    const { deleteRetentionMs } = this.#rules
    return !this.#opaque && compactedAt > 0 && (this.#parts.logAge - compactedAt) * 1000 >= deleteRetentionMs
  }

  #keepTombstones(compactedAt: number): void {
    const since = compactedAt || this.#parts.logAge
    this.nextTombstoneAge = Math.min(this.nextTombstoneAge, since + this.#rules.deleteRetentionMs / 1000)
  }

  async #learnBatch({ batch, lastOffset }: FoundBatch): Promise<boolean> {
    if (lastOffset >= this.end) return false
    if (isControl(batch)) return true
    const cursor = await unpackedRecords(batch)
    if (cursor === undefined) {
      this.#opaque = true
      this.#parts.onOpaque()
      return true
    }
    try {
      while (cursor.next()) {
        const key = cursor.key()
        if (key !== null && !this.#keys.put(key, cursor.offset)) return false
      }
    } catch {
      this.#opaque = true
    }
    return true
  }

  /** Batches from `from` to the end, with their spans. */
  async *#batches(from: number): AsyncGenerator<{ found: FoundBatch; span: PartitionSpan }> {
    for (const span of [...this.log.spans]) {
      if (span.endOffset <= from || span.from >= this.end || !this.log.spans.includes(span)) continue
      for await (const found of this.#parts.reader.batches(this.log, span, Math.max(from, span.from))) {
        if (found.lastOffset >= this.end) break
        yield { found, span }
        await this.#parts.pause(found.batch.length)
      }
    }
  }
}
