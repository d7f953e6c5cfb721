import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { ControlWriter } from './control-writer.ts'
import type { Gaps } from './gaps.ts'
import type { PartitionLog } from './partition-log.ts'

/** Damaged ranges whose gap records may be on their way at the same time; a reader finds the others again. */
const maxReported = 100

/** Turns damage that readers find into gap records, each range once. */
export class DamageReports {
  readonly #gaps: Gaps
  readonly #control: ControlWriter
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #underWay = new Set<string>()

  constructor(gaps: Gaps, control: ControlWriter, metrics: Metrics, logger: Logger) {
    this.#gaps = gaps
    this.#control = control
    this.#metrics = metrics
    this.#logger = logger
  }

  /** Offsets `first` to `last` cannot be read. */
  report(log: PartitionLog, first: number, last: number, logAge: number): void {
    const range = `${log.id}:${first}:${last}`
    if (this.#underWay.has(range) || this.#underWay.size >= maxReported) return
    if (this.#gaps.covers(log.id, first, last)) return
    this.#underWay.add(range)
    this.#metrics.add('storageDamages', 1, 'batch')
    this.#metrics.add('storageGaps', 1, 'damage')
    this.#logger.error({ partition: log.id, first, last }, 'records of a partition are damaged on the device')
    const gap = { partition: log.id, first, last, reason: 'damage', logAge } as const
    void this.#record(range, () => this.#control.write([{ kind: 'gap', gap }]))
  }

  async #record(range: string, write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch {
      // the log is not writable now: the next reader that meets the damage reports it again
    } finally {
      this.#underWay.delete(range)
    }
  }
}
