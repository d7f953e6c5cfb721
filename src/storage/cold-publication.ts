import { assert } from '../core/assert.ts'
import type { Metrics } from '../core/metrics.ts'
import { ColdSegment } from './cold-segment.ts'
import type { ControlRecord } from './control-record.ts'
import type { LogLookup } from './live-bytes.ts'
import type { PartitionLog } from './partition-log.ts'
import type { Segment } from './segment.ts'
import type { Slot } from './slot-file.ts'

/** What writing and publishing of cold segments needs of the log. */
export interface ColdLog {
  readonly segments: readonly Segment[]
  readonly slotBytes: number
  readonly logAge: number
  readonly logId: string
  logOf: LogLookup
  /** Sequence of the next cold segment. */
  nextSequence(): number
  newSalt(): bigint
  /** Bytes that nobody else knows. */
  newSecret(): Buffer
  /** A slot all of whose bytes are prepared, from the cleaner's reserve if need be; undefined when there is none. */
  takeSlot(): Promise<Slot | undefined>
  releaseSlot(slot: Slot): Promise<void>
  /** Resolves when the records are durable and took effect. */
  writeControl(records: readonly ControlRecord[]): Promise<void>
  /** Takes a cold segment among those of the log. */
  addSegment(segment: Segment): void
  /** Batches cannot be read any more: these offsets are gone. */
  onLost(log: PartitionLog, first: number, last: number): void
  /** Gap records of all that was told so are durable when it resolves; rejects when one cannot be written. */
  lossesRecorded(): Promise<void>
  /** Waits between chunks, so that appends are not starved. */
  pause(): Promise<void>
  /** False: the log closes, or can no longer be written. */
  isOpen(): boolean
}

/** `later`: there is something to gain, but no prepared slot just now. */
export type Gain = 'gained' | 'nothing' | 'later'

/**
 * Writes one cold segment at a time and publishes it with one record of the log. Before that record is durable a crash leaves a slot that is free;
 * from then on readers, checkpoints and recovery take its offsets from it.
 */
export class ColdPublication {
  readonly #log: ColdLog
  readonly #metrics: Metrics
  /** Written, and not yet durably published. */
  #unpublished: ColdSegment | undefined
  #isWriting = false

  constructor(log: ColdLog, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
  }

  /** A slot of the cleaner's reserve is in use. */
  get isWriting(): boolean {
    return this.#isWriting
  }

  /** Lets `copy` fill a cold segment, and publishes it. False when there is no slot for it; true also when nothing was left to copy. */
  async run(copy: (cold: ColdSegment) => Promise<void>): Promise<boolean> {
    const slot = await this.#log.takeSlot()
    if (slot === undefined) return false
    this.#isWriting = true
    try {
      await this.#write(slot, copy)
      return true
    } finally {
      this.#isWriting = false
    }
  }

  /** The record of a cold segment is durable. */
  published(sequence: number): void {
    const cold = this.#unpublished
    if (cold?.segment.sequence !== sequence) return
    this.#unpublished = undefined
    const { segment } = cold
    this.#log.addSegment(segment)
    for (const span of segment.allSpans()) this.#log.logOf(span.partition)?.supersede(span)
    // from now on blocks come from the footer
    segment.spans.release()
  }

  async #write(slot: Slot, copy: (cold: ColdSegment) => Promise<void>): Promise<void> {
    const { logId, slotBytes } = this.#log
    const identity = { logId, slotBytes, sequence: this.#log.nextSequence(), salt: this.#log.newSalt() }
    const cold = new ColdSegment(slot, identity)
    try {
      await copy(cold)
      // everything died meanwhile
      if (cold.segment.spans.size === 0) return await this.#log.releaseSlot(slot)
      await cold.finish(this.#log.logAge)
      // the copy has no trace of what could not be read
      await this.#log.lossesRecorded()
      if (!this.#log.isOpen()) throw new Error('the log closes')
      this.#unpublished = cold
      await this.#log.writeControl([{ kind: 'cold', cold: cold.place }])
      assert(this.#unpublished === undefined, 'a durable publication has taken effect')
    } catch (error) {
      // once its record was appended it may become durable all the same: the next start finds that out
      if (this.#unpublished === undefined && this.#log.isOpen()) await this.#log.releaseSlot(slot)
      throw error
    }
    this.#metrics.add('storageCleaningBytes', cold.writtenBytes)
  }
}

/** Calls `pause`; throws when the log closes meanwhile. */
export const pauseBetween = async (log: ColdLog): Promise<void> => {
  await log.pause()
  if (!log.isOpen()) throw new Error('the log closes')
}
