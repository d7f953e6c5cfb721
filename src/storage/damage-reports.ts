import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { ControlWriter } from './control-writer.ts'
import type { Gaps } from './gaps.ts'
import type { Gap } from './log.ts'
import type { PartitionLog } from './partition-log.ts'

/** Damaged ranges whose gap records may be on their way at the same time; a reader finds the others again. */
const maxUnrecorded = 100

interface UnrecordedGap {
  readonly gap: Gap
  /** Under way. */
  writing: Promise<void> | undefined
}

/** Turns damage that readers find into gap records, each range once. */
export class DamageReports {
  readonly #gaps: Gaps
  readonly #control: ControlWriter
  readonly #metrics: Metrics
  readonly #logger: Logger
  /** Reported, and no record of it is durable yet. */
  readonly #unrecorded = new Map<string, UnrecordedGap>()
  /** Something was found while too much was on its way. */
  #isPassedOver = false

  constructor(gaps: Gaps, control: ControlWriter, metrics: Metrics, logger: Logger) {
    this.#gaps = gaps
    this.#control = control
    this.#metrics = metrics
    this.#logger = logger
  }

  /** Offsets `first` to `last` cannot be read. */
  report(log: PartitionLog, first: number, last: number, logAge: number): void {
    if (this.#gaps.covers(log.id, first, last)) return
    const range = `${log.id}:${first}:${last}`
    let unrecorded = this.#unrecorded.get(range)
    if (unrecorded === undefined) {
      if (this.#unrecorded.size >= maxUnrecorded) {
        this.#isPassedOver = true
        return
      }
      this.#metrics.add('storageDamages', 1, 'batch')
      this.#metrics.add('storageGaps', 1, 'damage')
      this.#logger.error({ partition: log.id, first, last }, 'records of a partition are damaged on the device')
      unrecorded = { gap: { partition: log.id, first, last, reason: 'damage', logAge }, writing: undefined }
      this.#unrecorded.set(range, unrecorded)
    }
    // where it fails the next reader that meets the damage, or `recorded`, tries again
    this.#record(range, unrecorded).catch(() => undefined)
  }

  /**
   * Resolves when records of all that was reported are durable: what is copied from now on may leave the damage out. Rejects when something could not
   * be recorded, or was passed over.
   */
  async recorded(): Promise<void> {
    const isPassedOver = this.#isPassedOver
    this.#isPassedOver = false
    await Promise.all([...this.#unrecorded].map(([range, unrecorded]) => this.#record(range, unrecorded)))
    if (isPassedOver) throw new Error('more damage was found than could be recorded at once')
  }

  #record(range: string, unrecorded: UnrecordedGap): Promise<void> {
    unrecorded.writing ??= this.#write(range, unrecorded)
    return unrecorded.writing
  }

  async #write(range: string, unrecorded: UnrecordedGap): Promise<void> {
    try {
      await this.#control.write([{ kind: 'gap', gap: unrecorded.gap }])
      this.#unrecorded.delete(range)
    } finally {
      unrecorded.writing = undefined
    }
  }
}
