import type { Metrics } from '../core/metrics.ts'
import { type CleaningLog, planCleaning, type Victim } from './cleaning-plan.ts'
import { type ColdLog, type ColdPublication, type Gain, pauseBetween } from './cold-publication.ts'
import type { ColdSegment } from './cold-segment.ts'
import { isHeldByControl } from './live-bytes.ts'
import { logControlPartition } from './log.ts'
import type { Segment } from './segment.ts'
import { copySegment } from './segment-copy.ts'

/** What the cleaner needs of the log. */
export interface CleanedLog extends CleaningLog, ColdLog {
  /** Appends the state of the log control partition again, so that its earlier records are dead. */
  rewriteControl(): Promise<void>
  /** No group follows in the active segment: what it holds may be compacted once it is sealed. */
  sealActive(): void
  /** A sealed segment gets its footer soon, and may be cleaned then. */
  readonly footersDue: boolean
  /** All sealed segments have their footer. */
  footersWritten(): Promise<void>
}

/**
 * Reclaims dead bytes wherever they lie: copies the live batches of the segments that have fewest to a cold segment, past the group commits. The
 * victims are dead once that is published.
 */
export class Cleaner {
  readonly #log: CleanedLog
  readonly #publication: ColdPublication
  readonly #metrics: Metrics

  #isInternalRefused = false

  constructor(log: CleanedLog, publication: ColdPublication, metrics: Metrics) {
    this.#log = log
    this.#publication = publication
    this.#metrics = metrics
  }

  /** Records of internal partitions found no place in the active segment. */
  internalRefused(): void {
    this.#isInternalRefused = true
  }

  /**
   * Seals the active segment when it is in the way: what internal records have left dead in it can then be cleaned. The record that makes the change
   * finds its place in the slot behind it.
   */
  async sealRefusing(): Promise<boolean> {
    if (!this.#isInternalRefused) return false
    this.#isInternalRefused = false
    this.#log.sealActive()
    await this.#log.rewriteControl()
    await this.#log.footersWritten()
    return true
  }

  /** Makes segments dead with one cold segment, or with none. */
  async run(): Promise<Gain> {
    const { segments, logOf } = this.#log
    if (segments.some(segment => segment.sealed && segment.hasFooter && isHeldByControl(segment, logOf))) {
      await this.#log.rewriteControl()
      return 'gained'
    }
    const victims = planCleaning(this.#log)
    if (victims.length === 0) return this.#log.footersDue ? 'later' : 'nothing'
    if (victims.some(({ segment }) => this.#holdsControl(segment))) await this.#log.rewriteControl()
    const cleaned: Segment[] = []
    try {
      const done = await this.#publication.run(cold => this.#copy(cold, victims, cleaned))
      if (!done) return 'later'
    } finally {
      for (const segment of cleaned) segment.readers--
    }
    this.#metrics.add('storageCleanings')
    this.#metrics.add('storageCleanedSegments', cleaned.length)
    return 'gained'
  }

  /** Copies victims until the cold segment is full; the last one may be copied in part. */
  async #copy(cold: ColdSegment, victims: readonly Victim[], cleaned: Segment[]): Promise<void> {
    for (const { segment } of victims) {
      if (!this.#log.segments.includes(segment)) continue
      // whatever is done meanwhile, its slot is not reused while it is read
      segment.readers++
      cleaned.push(segment)
      const isWhole = await copySegment(segment, cold, {
        logOf: partition => this.#log.logOf(partition),
        onLost: (log, first, last) => this.#log.onLost(log, first, last),
        pause: () => pauseBetween(this.#log),
      })
      if (!isWhole) return
    }
  }

  #holdsControl(segment: Segment): boolean {
    if (!segment.spans.has(logControlPartition)) return false
    const log = this.#log.logOf(logControlPartition)
    return log !== undefined && segment.newestSpan(logControlPartition)!.endOffset > log.logStart
  }
}
