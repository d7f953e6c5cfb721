import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import { type CleanedParts, cleanedLog } from './cleaned-log.ts'
import { Cleaner } from './cleaner.ts'
import { type EvictableParts, evictableLog } from './evictable-log.ts'
import { Eviction } from './eviction.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Slot } from './slot-pool.ts'

const retentionCheckMs = 10_000

/** Retention, eviction and cleaning, checked regularly and when asked for, while the log can be written. */
export class RoomMaking {
  readonly housekeeping: Housekeeping
  readonly #cleaner: Cleaner
  readonly #parts: EvictableParts & CleanedParts

  constructor(parts: EvictableParts & CleanedParts & { metrics: Metrics; logger: Logger }) {
    this.#parts = parts
    this.#cleaner = new Cleaner(cleanedLog(parts), parts.metrics, parts.logger)
    const eviction = new Eviction(evictableLog(parts), this.#cleaner, parts.metrics, parts.logger)
    this.housekeeping = new Housekeeping(parts.clock, retentionCheckMs, () => {
      if (parts.isWritable()) void eviction.check()
    })
  }

  /** The record of a cold segment is durable. */
  published(sequence: number): void {
    this.#cleaner.published(sequence)
  }

  /** A slot for groups, or undefined. The last one is the cleaner's, without which no other becomes free. */
  takeSlot(): Slot | undefined {
    const { pool } = this.#parts.recovered
    const free = pool.outOfSpace ? pool.freeCount : pool.available
    return free > 1 || this.#cleaner.isWriting ? pool.take() : undefined
  }
}
