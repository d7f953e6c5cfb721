import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import { reservedSlots } from './options.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { SlotPool } from './slot-pool.ts'

/** For headers, padding and the footer's growth. */
const marginBytes = 64 * 1024

/** Whether topic data may be taken in: it leaves the reserve to the cleaner and to internal partitions. */
export class AppendSpace {
  readonly #pool: SlotPool
  readonly #segments: SegmentWriter
  readonly #pipeline: CommitPipeline
  readonly #metrics: Metrics
  readonly #onRefused: () => void

  constructor(
    pool: SlotPool,
    segments: SegmentWriter,
    pipeline: CommitPipeline,
    metrics: Metrics,
    onRefused: () => void,
  ) {
    this.#pool = pool
    this.#segments = segments
    this.#pipeline = pipeline
    this.#metrics = metrics
    this.#onRefused = onRefused
  }

  /** Throws `storageFull` when `bytes` have a place neither in the active segment nor in a slot outside the reserve. */
  check(bytes: number): void {
    const { outOfSpace, freeCount, available } = this.#pool
    if (outOfSpace ? freeCount > 0 : available > reservedSlots) return
    if (this.#pipeline.waitingBytes + bytes + marginBytes <= this.#segments.activeRoomBytes) return
    this.#metrics.add('storageFull')
    this.#onRefused()
    throw new BrokerError('storageFull', 'no slot of the log is free; disk.budget or the file system is full')
  }
}
