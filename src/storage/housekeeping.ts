import type { Clock, Timer } from '../platform/clock.ts'

const soonMs = 20

/** Runs a check at regular times and soon after it was asked for; at most one call waits. */
export class Housekeeping {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #check: () => void
  #timer: Timer | undefined
  #soon = false
  #stopped = false
  #begun = false

  constructor(clock: Clock, everyMs: number, check: () => void) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#check = check
  }

  /** Checks now, and from now on regularly. */
  run(): void {
    if (this.#stopped) return
    this.#begun = true
    this.#soon = false
    this.#schedule(this.#everyMs)
    this.#check()
  }

  /** Nothing before the first `run`. */
  soon(): void {
    if (this.#soon || this.#stopped || !this.#begun) return
    this.#soon = true
    this.#schedule(soonMs)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(delayMs, () => this.run())
  }
}
