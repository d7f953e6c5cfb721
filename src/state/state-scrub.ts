import type { PartitionId } from '../core/brand.ts'
import { type Clock, sleep, type Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { type Log, logControlPartition } from '../storage/log.ts'
import type { ViewLog } from './view-log.ts'

/** Long after the start, when clients have come back. */
const firstMs = 30_000
const everyMs = 24 * 3_600_000
/** Read at once, and the pause behind it: nobody waits for this. */
const readBytes = 256 << 10
const pauseMs = 50

/**
 * Reads the records of state from the device, soon after a start and once a day. A start that has its checkpoints reads none of them, so that damage
 * would be found when they are needed: with the checkpoints gone. Found here, the views still know what was in them, and it is written again.
 */
export class StateScrub {
  readonly #log: Log
  readonly #state: ViewLog
  readonly #clock: Clock
  readonly #logger: Logger
  #timer: Timer
  #stopped = false

  /** Begins at once to wait for its time. */
  constructor(parts: { readonly log: Log; readonly state: ViewLog; readonly clock: Clock; readonly logger: Logger }) {
    this.#log = parts.log
    this.#state = parts.state
    this.#clock = parts.clock
    this.#logger = parts.logger
    this.#timer = this.#after(firstMs)
  }

  stop(): void {
    this.#stopped = true
    this.#timer.cancel()
  }

  #after(delayMs: number): Timer {
    return this.#clock.after(delayMs, () => {
      this.#timer = this.#after(everyMs)
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    try {
      for (const partition of [logControlPartition, ...this.#state.partitions]) await this.#read(partition)
      if (!this.#stopped) await this.#state.mend()
    } catch (error) {
      this.#logger.warn({ error: String(error) }, 'the records of state were not all read; tomorrow again')
    }
  }

  /** Whatever cannot be read is reported by the log itself. */
  async #read(partition: PartitionId): Promise<void> {
    const { logStart, highWatermark } = this.#log.offsets(partition)
    for (let offset = logStart; offset < highWatermark && !this.#stopped; ) {
      // the view may be written again meanwhile
      offset = Math.max(offset, this.#log.offsets(partition).logStart)
      offset = (await this.#log.read(partition, offset, readBytes, highWatermark)).nextOffset
      await sleep(this.#clock, pauseMs)
    }
  }
}
