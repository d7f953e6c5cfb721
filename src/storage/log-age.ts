import { crc32c } from '../core/crc32c.ts'
import type { Clock } from '../platform/clock.ts'

/** Where log age stood in the newest group found. */
export interface LogAgeMark {
  readonly logAge: number
  readonly sinceBoot: number
  readonly bootHash: number
}

/**
 * Seconds of the log's life. Time between boots does not count (nobody knows how long the power was off); downtime of the broker
 * within one boot does.
 */
export class LogAge {
  readonly bootHash: number
  readonly #clock: Clock
  readonly #base: number

  constructor(clock: Clock, mark: LogAgeMark | undefined) {
    this.#clock = clock
    this.bootHash = crc32c(Buffer.from(clock.bootId))
    const age = mark?.logAge ?? 0
    const sameBoot = mark !== undefined && mark.bootHash === this.bootHash && mark.sinceBoot <= this.sinceBoot
    this.#base = sameBoot ? age - mark.sinceBoot : age - this.sinceBoot
  }

  get sinceBoot(): number {
    return Math.floor(this.#clock.sinceBootMs() / 1000)
  }

  get seconds(): number {
    return this.#base + this.sinceBoot
  }
}
