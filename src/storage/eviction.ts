import { AssertionError } from '../core/assert.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { Gain } from './cold-publication.ts'
import { mostPartitions } from './control-batches.ts'
import type { ControlRecord } from './control-record.ts'
import { Cuts } from './cuts.ts'
import { type Cut, chooseEviction, unreadFrom } from './eviction-policy.ts'
import { isDead } from './live-bytes.ts'
import { firstTopicPartitionId, type GapReason } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import { type BlocksOf, mayExceed, type RetentionLimits, retainedFrom } from './retention.ts'
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
  /** Where the log stood when retention limits were last applied: a check in the same second and the same segment leaves them alone. */
  #retained = { logAge: -1, newest: -1 }
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
    const { logAge, defaultRetention, segments } = this.#log
    const newest = segments.at(-1)?.sequence ?? 0
    if (this.#retained.logAge === logAge && this.#retained.newest === newest) return
    this.#retained = { logAge, newest }
    const cuts: Cut[] = []
    for (const log of this.#log.logs()) {
      const limits = log.retention ?? defaultRetention
      if (log.id < firstTopicPartitionId || !mayExceed(log, limits, logAge)) continue
      const start = await retainedFrom(log, limits, logAge, this.#log.blocksOf)
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
    const cuts = chooseEviction(this.#log.logs())
    if (cuts.length === 0) return false
    await this.#take(cuts, 'budget')
    // there is something new to clean; else the rest would go, too, where a cleaning makes room
    this.#cleanings = 0
    return true
  }

  /** Moves log starts up, and says what went that somebody may still have wanted: of each partition in one record. */
  async #take(planned: readonly Cut[], reason: GapReason): Promise<void> {
    // a request may have moved it further meanwhile
    const left = planned.filter(({ log, start }) => start > log.logStart)
    const written: Promise<void>[] = []
    try {
      for (let at = 0; at < left.length; at += mostPartitions) {
        const some = left.slice(at, at + mostPartitions)
        const cuts = new Cuts(reason, this.#log.logAge)
        for (const { log, start } of some) cuts.add(log.id, start, start - unreadFrom(log, start))
        written.push(this.#log.writeControl([{ kind: 'cuts', cuts }]))
        // where there was no room for the record, nothing has moved
        this.#moveLogStarts(some, cuts)
      }
    } finally {
      await Promise.all(written)
    }
  }

  #moveLogStarts(moved: readonly Cut[], { reason, unread }: Cuts): void {
    let [records, bytes, gaps] = [0, 0, 0]
    const unreadOf = { bulk: 0, normal: 0, critical: 0 }
    for (const [row, { log, start }] of moved.entries()) {
      const { logStart, sizeBytes } = log
      log.advanceLogStart(start)
      records += start - logStart
      bytes += Math.max(0, sizeBytes - log.sizeBytes)
      if (unread[row]! > 0) gaps++
      unreadOf[log.retention?.class ?? 'normal'] += unread[row]!
    }
    this.#metrics.add('storageEvictedRecords', records, reason)
    this.#metrics.add('storageEvictedBytes', bytes, reason)
    if (gaps > 0) this.#metrics.add('storageGaps', gaps, reason)
    for (const [name, count] of Object.entries(unreadOf)) {
      if (count > 0) this.#metrics.add('storageUnreadRecords', count, name)
    }
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
