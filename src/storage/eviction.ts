import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { Gain } from './cold-publication.ts'
import type { ControlRecord } from './control-record.ts'
import { isDead } from './live-bytes.ts'
import { firstTopicPartitionId, type GapReason } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'
import { type BlocksOf, type RetentionLimits, retainedFrom } from './retention.ts'
import type { Segment } from './segment.ts'

/** What eviction needs of the log. */
export interface EvictionLog {
  /** Cold ones, then hot ones; the last one is active. */
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
  /** Nothing in the segment is alive, durably: gives its slot back. False while a reader is in it. */
  free(segment: Segment): Promise<boolean>
}

/** The mechanism beside this policy: copies live batches together, so that their old slots are dead. */
export interface Cleaning {
  run(): Promise<Gain>
  /** True when it sealed the active segment because internal records were refused: there may be something to gain in it. */
  sealRefusing(): Promise<boolean>
}

/** Removes records whose key has a newer one. */
export interface Compaction {
  /** `gained`: something was copied, so that its old place is dead. */
  run(isUrgent: boolean): Promise<Gain>
}

/**
 * Makes room: by retention limits, then by cleaning, and past the budget by taking the oldest data away, always a partition's first batches
 * first. A slot is offered again only when the log starts and gap records that make it dead are synced.
 */
export class Eviction {
  readonly #log: EvictionLog
  readonly #cleaning: Cleaning
  readonly #compaction: Compaction
  readonly #metrics: Metrics
  readonly #logger: Logger
  /** Room was needed at the last check, and nothing could go. */
  isExhausted = false
  #running: Promise<void> | undefined
  #again = false

  constructor(log: EvictionLog, cleaning: Cleaning, compaction: Compaction, metrics: Metrics, logger: Logger) {
    this.#log = log
    this.#cleaning = cleaning
    this.#compaction = compaction
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
        await this.#compaction.run(false)
        // what is dead and cannot be freed now, because of a reader, is room to come
        let gain: Gain = 'gained'
        while (gain === 'gained' && (await this.#freeDead()) && this.#log.needsRoom) gain = await this.#gain()
        this.isExhausted = gain === 'nothing'
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

  /** Makes something dead. Nothing is taken away while something can be gained otherwise, now or later. */
  async #gain(): Promise<Gain> {
    const cleaned = await this.#cleaning.run()
    if (cleaned !== 'nothing') return cleaned
    const compacted = await this.#compaction.run(true)
    if (compacted !== 'nothing') return compacted
    return (await this.#evictOldest()) || (await this.#cleaning.sealRefusing()) ? 'gained' : 'nothing'
  }

  /** Takes away the partitions' first batches where the oldest of them stand. */
  async #evictOldest(): Promise<boolean> {
    const segment = this.#oldest()
    if (segment === undefined) return false
    const records: ControlRecord[] = []
    for (const span of segment.spans.values()) {
      const log = this.#log.logOf(span.partition)
      if (log !== undefined && isFirst(log, span)) records.push(...this.#cut(log, span.endOffset, 'budget'))
    }
    await this.#log.writeControl(records)
    return true
  }

  /** The sealed segment in which the oldest first batch of a topic stands. */
  #oldest(): Segment | undefined {
    let oldest: PartitionSpan | undefined
    for (const log of this.#log.logs()) {
      const span = log.spans[log.spanFrom(log.logStart)]
      if (!isEvictable(log) || span === undefined) continue
      if (!span.segment.sealed || !span.segment.hasFooter) continue
      if (oldest === undefined || isOlder(span, oldest)) oldest = span
    }
    return oldest?.segment
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

  /** False when a dead segment has to wait for its readers. */
  async #freeDead(): Promise<boolean> {
    let all = true
    for (const segment of [...this.#log.segments]) {
      const isDone = segment.sealed && segment.hasFooter
      if (isDone && isDead(segment, partition => this.#log.logOf(partition))) {
        all = (await this.#log.free(segment)) && all
      }
    }
    return all
  }
}

/** Of a partition that is only compacted, the newest record of each key stays for ever. */
const isEvictable = ({ id, compaction }: PartitionLog): boolean =>
  id >= firstTopicPartitionId && (compaction === undefined || compaction.alsoDeletes)

const isFirst = (log: PartitionLog, span: PartitionSpan): boolean =>
  isEvictable(log) && log.spans[log.spanFrom(log.logStart)] === span

/** By log age; in the same second by the place in the log. */
const isOlder = (one: PartitionSpan, other: PartitionSpan): boolean => {
  if (one.firstLogAge !== other.firstLogAge) return one.firstLogAge < other.firstLogAge
  if (one.segment.isCold !== other.segment.isCold) return one.segment.isCold
  return one.segment.sequence < other.segment.sequence
}
