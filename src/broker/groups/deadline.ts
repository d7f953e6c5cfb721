import type { Clock, Timer } from '../../platform/clock.ts'

/**
 * A point in time that mostly moves further away, such as a session's end: moving it costs no timer. A running timer that fires too
 * early is set again for the rest.
 */
export class Deadline {
  readonly #clock: Clock
  readonly #passed: () => void
  #atMs = 0
  #timer: Timer | undefined
  #timerAtMs = 0

  /** `passed` is called once each time the deadline is reached; then it stands still until it is set again. */
  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock
    this.#passed = passed
  }

  /** The deadline is `delayMs` from now on, whatever it was. */
  set(delayMs: number): void {
    this.#atMs = this.#clock.monotonicMs() + delayMs
    if (this.#timer !== undefined && this.#timerAtMs <= this.#atMs) return
    this.#timer?.cancel()
    this.#arm(delayMs)
  }

  clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(delayMs: number): void {
    this.#timerAtMs = this.#atMs
    this.#timer = this.#clock.after(delayMs, () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    const restMs = this.#atMs - this.#clock.monotonicMs()
    // whole milliseconds: a rest that rounding makes too small to move the clock would never end
    if (restMs > 0) this.#arm(Math.ceil(restMs))
    else this.#passed()
  }
}
