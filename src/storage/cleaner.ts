import { assert } from '../core/assert.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import { type CleaningLog, planCleaning, type Victim } from './cleaning-plan.ts'
import { ColdSegment } from './cold-segment.ts'
import type { ControlRecord } from './control-record.ts'
import { isHeldByControl } from './live-bytes.ts'
import { logControlPartition } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { Segment } from './segment.ts'
import { copySegment } from './segment-copy.ts'
import type { Slot } from './slot-pool.ts'

/** What the cleaner needs of the log. */
export interface CleanedLog extends CleaningLog {
  readonly logId: string
  /** Sequence of the next cold segment. */
  nextSequence(): number
  newSalt(): bigint
  /** A slot all of whose bytes are prepared, from the cleaner's reserve if need be; undefined when there is none. */
  takeSlot(): Promise<Slot | undefined>
  releaseSlot(slot: Slot): Promise<void>
  /** Appends the state of the log control partition again, so that its earlier records are dead. */
  rewriteControl(): Promise<void>
  /** Resolves when the records are durable and took effect. */
  writeControl(records: readonly ControlRecord[]): Promise<void>
  /** Takes a cold segment among those of the log. */
  addSegment(segment: Segment): void
  onLost(log: PartitionLog, first: number, last: number): void
  /** Waits between chunks, so that appends are not starved. */
  pause(): Promise<void>
  /** False: the log closes, or can no longer be written. */
  isOpen(): boolean
}

/**
 * Reclaims dead bytes wherever they lie: copies the live batches of the segments that have fewest to a cold segment, past the group commits, and
 * publishes it with one record of the log. Only then are the victims dead; before, a crash leaves a slot that is free.
 */
export class Cleaner {
  readonly #log: CleanedLog
  readonly #metrics: Metrics
  readonly #logger: Logger
  /** Written, and not yet durably published. */
  #unpublished: ColdSegment | undefined
  #isWriting = false

  constructor(log: CleanedLog, metrics: Metrics, logger: Logger) {
    this.#log = log
    this.#metrics = metrics
    this.#logger = logger
  }

  /** It holds a slot of its reserve. */
  get isWriting(): boolean {
    return this.#isWriting
  }

  /** Fills one cold segment and publishes it; false when nothing would be gained, or it is not possible now. Its victims are then dead. */
  async run(): Promise<boolean> {
    const { segments, logOf } = this.#log
    if (segments.some(segment => segment.sealed && segment.hasFooter && isHeldByControl(segment, logOf))) {
      await this.#log.rewriteControl()
      return true
    }
    const victims = planCleaning(this.#log)
    if (victims.length === 0) return false
    if (victims.some(({ segment }) => this.#holdsControl(segment))) await this.#log.rewriteControl()
    const slot = await this.#log.takeSlot()
    if (slot === undefined) return false
    this.#isWriting = true
    try {
      return await this.#clean(slot, victims)
    } finally {
      this.#isWriting = false
    }
  }

  /** Its record is durable: from now on readers and checkpoints know it. */
  published(sequence: number): void {
    const cold = this.#unpublished
    if (cold?.segment.sequence !== sequence) return
    this.#unpublished = undefined
    const { segment } = cold
    this.#log.addSegment(segment)
    for (const span of segment.spans.values()) this.#log.logOf(span.partition)?.supersede(span)
    for (const span of segment.spans.values()) span.blocks = undefined
  }

  async #clean(slot: Slot, victims: readonly Victim[]): Promise<boolean> {
    const { logId, slotBytes } = this.#log
    const identity = { logId, slotBytes, sequence: this.#log.nextSequence(), salt: this.#log.newSalt() }
    const cold = new ColdSegment(slot, identity)
    const cleaned: Segment[] = []
    try {
      await this.#copy(cold, victims, cleaned)
      // everything in them died meanwhile
      if (cold.segment.spans.size === 0) return await this.#nothingLeft(slot)
      await cold.finish(this.#log.logAge)
      if (!this.#log.isOpen()) return false
      this.#unpublished = cold
      await this.#log.writeControl([{ kind: 'cold', cold: cold.place }])
      assert(this.#unpublished === undefined, 'a durable publication has taken effect')
    } catch (error) {
      // it may be durable all the same: then the next start finds it
      if (this.#unpublished === undefined && this.#log.isOpen()) await this.#log.releaseSlot(slot)
      throw error
    } finally {
      for (const segment of cleaned) segment.readers--
    }
    this.#report(cold, cleaned)
    return true
  }

  async #nothingLeft(slot: Slot): Promise<boolean> {
    await this.#log.releaseSlot(slot)
    return true
  }

  /** Copies victims until the cold segment is full; the last one may be copied in part. */
  async #copy(cold: ColdSegment, victims: readonly Victim[], cleaned: Segment[]): Promise<void> {
    for (const { segment } of victims) {
      // whatever was done meanwhile, its slot is not reused while it is read
      if (!this.#log.segments.includes(segment)) continue
      segment.readers++
      cleaned.push(segment)
      const isWhole = await copySegment(segment, cold, {
        logOf: partition => this.#log.logOf(partition),
        onLost: (log, first, last) => this.#log.onLost(log, first, last),
        pause: () => this.#pause(),
      })
      if (!isWhole) return
    }
  }

  async #pause(): Promise<void> {
    await this.#log.pause()
    if (!this.#log.isOpen()) throw new Error('the log closes')
  }

  #holdsControl(segment: Segment): boolean {
    const span = segment.spans.get(logControlPartition)
    const log = this.#log.logOf(logControlPartition)
    return span !== undefined && log !== undefined && span.endOffset > log.logStart
  }

  #report(cold: ColdSegment, victims: readonly Segment[]): void {
    const { segment, writtenBytes } = cold
    this.#metrics.add('storageCleanings')
    this.#metrics.add('storageCleanedSegments', victims.length)
    this.#metrics.add('storageCleaningBytes', writtenBytes)
    const fields = { segment: segment.name, victims: victims.map(({ name }) => name), bytes: segment.end }
    this.#logger.debug(fields, 'live batches were copied to a cold segment')
  }
}
