import { type PartitionId, partitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { ControlRecord } from './control-record.ts'
import { firstTopicPartitionId, type GapReason, logControlPartition } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import { type BlocksOf, type RetentionLimits, retainedFrom } from './retention.ts'
import type { Segment } from './segment.ts'

/** What eviction needs of the log. */
export interface EvictionLog {
  /** Oldest first; the last one is active. */
  readonly segments: readonly Segment[]
  logOf(partition: number): PartitionLog | undefined
  logs(): Iterable<PartitionLog>
  /** More room is needed than free slots give. */
  readonly needsRoom: boolean
  readonly logAge: number
  readonly defaultRetention: RetentionLimits
  readonly blocksOf: BlocksOf
  /** Applies the records and makes them durable with one group; log starts count as durable when it resolves. */
  writeControl(records: readonly ControlRecord[]): Promise<void>
  /** Appends the state of the log control partition again and moves its log start behind the old records. */
  rewriteControl(): Promise<void>
  /** Owner of internal partitions; undefined while nobody registered. */
  readonly rewriteInternal: ((partition: PartitionId) => Promise<void>) | undefined
  /** Nothing in the segment is alive, durably: gives its slot back. False while a reader is in it. */
  free(segment: Segment): Promise<boolean>
}

/**
 * Makes room: by retention limits, and past the budget by taking the oldest segment's data away, always a partition's first batches
 * first. A slot is offered again only when the log starts and gap records that make it dead are synced.
 */
export class Eviction {
  readonly #log: EvictionLog
  readonly #metrics: Metrics
  readonly #logger: Logger
  #running: Promise<void> | undefined
  #again = false

  constructor(log: EvictionLog, metrics: Metrics, logger: Logger) {
    this.#log = log
    this.#metrics = metrics
    this.#logger = logger
  }

  /** Looks whether something is to do; at most one round runs, a call during it makes another one follow. */
  check(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true
      return this.#running
    }
    this.#running = this.#rounds().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #rounds(): Promise<void> {
    do {
      this.#again = false
      try {
        await this.#applyRetention()
        await this.#freeDead()
        while (this.#log.needsRoom && (await this.#evictOldest()));
      } catch (error) {
        // memory or the device is out just now; the next check goes on
        this.#logger.warn({ error: String(error) }, 'making room in the log was interrupted')
      }
    } while (this.#again)
  }

  async #applyRetention(): Promise<void> {
    const records: ControlRecord[] = []
    for (const log of this.#log.logs()) {
      if (log.id < firstTopicPartitionId) continue
      const limits = log.retention ?? this.#log.defaultRetention
      const start = await retainedFrom(log, limits, this.#log.logAge, this.#log.blocksOf)
      if (start > log.logStart) records.push(...this.#cut(log, start, 'retention'))
    }
    if (records.length > 0) await this.#log.writeControl(records)
  }

  /** Takes the oldest segment's data away and frees its slot; false when that is not possible now. */
  async #evictOldest(): Promise<boolean> {
    const [segment] = this.#log.segments
    if (segment === undefined || !segment.sealed || !segment.hasFooter) return false
    const records: ControlRecord[] = []
    const pinnedBy: PartitionId[] = []
    for (const span of segment.spans.values()) {
      const log = this.#log.logOf(span.partition)
      if (log === undefined || log.logStart >= span.endOffset) continue
      if (span.partition < firstTopicPartitionId) pinnedBy.push(partitionId(span.partition))
      else records.push(...this.#cut(log, span.endOffset, 'budget'))
    }
    if (records.length > 0) await this.#log.writeControl(records)
    for (const partition of pinnedBy) {
      if (partition === logControlPartition) await this.#log.rewriteControl()
      else if (this.#log.rewriteInternal === undefined) return false
      else await this.#log.rewriteInternal(partition)
    }
    if (this.#isDead(segment)) return this.#log.free(segment)
    this.#logger.warn({ segment: segment.sequence, pinnedBy }, 'internal data keeps the oldest segment')
    return false
  }

  /** Records that move the log start up, and say what went. */
  #cut(log: PartitionLog, start: number, reason: GapReason): ControlRecord[] {
    const first = log.logStart
    const bytes = log.sizeBytes
    log.advanceLogStart(start)
    this.#metrics.add('storageEvictedRecords', start - first, reason)
    this.#metrics.add('storageEvictedBytes', Math.max(0, bytes - log.sizeBytes), reason)
    this.#metrics.add('storageGaps', 1, reason)
    const gap = { partition: log.id, first, last: start - 1, reason, logAge: this.#log.logAge }
    return [
      { kind: 'logStart', partition: log.id, offset: start },
      { kind: 'gap', gap },
    ]
  }

  async #freeDead(): Promise<void> {
    for (const segment of [...this.#log.segments]) {
      if (segment.sealed && segment.hasFooter && this.#isDead(segment)) await this.#log.free(segment)
    }
  }

  /** Every offset in it lies below a log start that is durable, or its partition was durably removed. */
  #isDead(segment: Segment): boolean {
    for (const span of segment.spans.values()) {
      const log = this.#log.logOf(span.partition)
      if (log !== undefined && log.durableLogStart < span.endOffset) return false
    }
    return true
  }
}
