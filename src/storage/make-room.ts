import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import { type CleanedParts, cleanedLog } from './cleaned-log.ts'
import { Cleaner } from './cleaner.ts'
import { ColdPublication } from './cold-publication.ts'
import { Compactor } from './compactor.ts'
import { type EvictableParts, evictableLog } from './evictable-log.ts'
import { Eviction } from './eviction.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Slot } from './slot-file.ts'

const retentionCheckMs = 10_000

/** Retention, eviction and cleaning, checked regularly and when asked for, while the log can be written. */
export class RoomMaking {
  readonly housekeeping: Housekeeping
  readonly #eviction: Eviction
  readonly #cleaner: Cleaner
  readonly #publication: ColdPublication
  readonly #parts: EvictableParts & CleanedParts

  constructor(parts: EvictableParts & CleanedParts & { metrics: Metrics; logger: Logger; memory: MemoryBudget }) {
    this.#parts = parts
    const log = cleanedLog(parts)
    this.#publication = new ColdPublication(log, parts.metrics)
    this.#cleaner = new Cleaner(log, this.#publication, parts.metrics)
    const compactor = new Compactor(log, this.#publication, parts)
    this.#eviction = new Eviction(evictableLog(parts), this.#cleaner, compactor, parts.metrics, parts.logger)
    this.housekeeping = new Housekeeping(parts.clock, retentionCheckMs, () => {
      if (parts.isWritable()) void this.#eviction.check()
    })
  }

  /** From now on, or as soon as the rules are known. */
  begin(rulesSet: Promise<void> | undefined): void {
    if (rulesSet === undefined) this.housekeeping.run()
    else void rulesSet.then(() => this.housekeeping.run())
  }

  soon(): void {
    this.housekeeping.soon()
  }

  internalRefused(): void {
    this.#cleaner.internalRefused()
  }

  /** The last check needed room and found nothing that could go. */
  get isExhausted(): boolean {
    return this.#eviction.isExhausted
  }

  /** The record of a cold segment is durable. */
  published(sequence: number): void {
    this.#publication.published(sequence)
  }

  /**
   * A slot for groups, or undefined. The last one is the cleaner's, without which no other becomes free; but not on a full file system, where slots are
   * missing that the budget pays for.
   */
  takeSlot(): Slot | undefined {
    const { pool } = this.#parts.recovered
    return pool.available > 1 || pool.outOfSpace || this.#publication.isWriting ? pool.take() : undefined
  }
}
