import { AssertionError } from '../core/assert.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { Gain } from './cold-publication.ts'
import type { ControlRecord } from './control-record.ts'
import { chooseEviction, unreadFrom } from './eviction-policy.ts'
import { isDead } from './live-bytes.ts'
import { firstTopicPartitionId, type GapReason } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import { type BlocksOf, isLimited, type RetentionLimits, retainedFrom } from './retention.ts'
import type { Segment } from './segment.ts'

/** What eviction needs of the log. */
export interface EvictionLog {
  /** Cold ones, then hot ones; the last one is active. */
  readonly segments: readonly Segment[]
  logOf(partition: number): PartitionLog | undefined
  logs(): Iterable<PartitionLog>
  /** More room is needed than free slots give. */
  readonly needsRoom: boolean
  /** Of all batches that can be read. */
  readonly liveBytes: number
  /** What may be live while room is needed. */
  readonly targetBytes: number
  readonly logAge: number
  readonly defaultRetention: RetentionLimits
  readonly blocksOf: BlocksOf
  /** Deletes the bytes of damaged slots that were kept aside; false when there are none. */
  dropQuarantined(): Promise<boolean>
  /**
   * Appends the records in one group, or throws and appends nothing; log starts count as durable when it resolves.
   */
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

/** A log start that is to move up. */
interface Cut {
  readonly log: PartitionLog
  readonly start: number
}

/**
 * Makes room: by retention limits, then by cleaning, and past the budget by taking data away (`eviction-policy.ts` says which), always a partition's
 * first batches first. A slot is offered again only when the log starts and gap records that make it dead are synced.
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
  /** In this round, since something was taken away. */
  #cleanings = 0

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
      this.#cleanings = 0
      try {
        await this.#applyRetention()
        await this.#compaction.run(false)
        // what is dead and cannot be freed now, because of a reader, is room to come
        let gain: Gain = 'gained'
        while (gain === 'gained' && (await this.#freeDead()) && this.#log.needsRoom) gain = await this.#gain()
        this.isExhausted = gain === 'nothing'
      } catch (error) {
        if (error instanceof AssertionError) throw error
        // memory or the device is out just now; the next check goes on
        this.#logger.warn({ error: String(error) }, 'making room in the log was interrupted')
      }
    } while (this.#again)
  }

  async #applyRetention(): Promise<void> {
    const cuts: Cut[] = []
    for (const log of this.#log.logs()) {
      if (log.id < firstTopicPartitionId) continue
      const limits = log.retention ?? this.#log.defaultRetention
      if (!isLimited(limits)) continue
      const start = await retainedFrom(log, limits, this.#log.logAge, this.#log.blocksOf)
      if (start > log.logStart) cuts.push({ log, start })
    }
    await this.#take(cuts, 'retention')
  }

  /**
   * Makes something dead. Nothing is taken away while something can be gained otherwise, now or later; but too much live data goes, instead of
   * being copied about.
   */
  async #gain(): Promise<Gain> {
    if (this.#log.liveBytes > this.#log.targetBytes && (await this.#evictNext())) return 'gained'
    // large batches that leave much of each copy empty could be copied about for ever
    const cleaned = this.#cleanings < this.#log.segments.length ? await this.#cleaning.run() : 'nothing'
    this.#cleanings++
    if (cleaned !== 'nothing') return cleaned
    const compacted = await this.#compaction.run(true)
    if (compacted !== 'nothing') return compacted
    const hasGained = (await this.#evictNext()) || (await this.#cleaning.sealRefusing())
    return hasGained || (await this.#log.dropQuarantined()) ? 'gained' : 'nothing'
  }

  /** Takes away what the policy names. */
  async #evictNext(): Promise<boolean> {
    const choice = chooseEviction(this.#log.logs())
    if (choice === undefined) return false
    const cuts = choice.spans.map(({ partition, endOffset }) => ({
      log: this.#log.logOf(partition)!,
      start: endOffset,
    }))
    await this.#take(cuts, 'budget')
    // there is something new to clean; else the rest would go, too, where a cleaning makes room
    this.#cleanings = 0
    return true
  }

  /** Moves log starts up, and says what went that somebody may still have wanted; all of it in one group. */
  async #take(cuts: readonly Cut[], reason: GapReason): Promise<void> {
    // a request may have moved it further meanwhile
    const left = cuts.filter(({ log, start }) => start > log.logStart)
    if (left.length === 0) return
    const written = this.#log.writeControl(left.flatMap(cut => this.#recordsOf(cut, reason)))
    // where there was no room for the records, nothing has moved
    for (const { log, start } of left) {
      const { logStart, sizeBytes } = log
      const unread = start - unreadFrom(log, start)
      log.advanceLogStart(start)
      this.#metrics.add('storageEvictedRecords', start - logStart, reason)
      this.#metrics.add('storageEvictedBytes', Math.max(0, sizeBytes - log.sizeBytes), reason)
      if (unread === 0) continue
      this.#metrics.add('storageGaps', 1, reason)
      this.#metrics.add('storageUnreadRecords', unread, log.retention?.class ?? 'normal')
    }
    await written
  }

  #recordsOf({ log, start }: Cut, reason: GapReason): ControlRecord[] {
    const moved: ControlRecord = { kind: 'logStart', partition: log.id, offset: start }
    const first = unreadFrom(log, start)
    if (first === start) return [moved]
    const gap = { partition: log.id, first, last: start - 1, reason, logAge: this.#log.logAge }
    return [moved, { kind: 'gap', gap }]
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
