import type { Clock, Timer } from '../platform/clock.ts'

/** Timers can wait no longer. */
const maxWaitMs = 2 ** 30

/** What is due at some time, one thing a key: a single timer serves all of them. */
export class Deadlines<Key> {
  readonly #clock: Clock
  readonly #act: (key: Key) => void
  readonly #dueMs = new Map<Key, number>()
  #timer: Timer | undefined
  #timerMs = Number.POSITIVE_INFINITY

  /** `act` is called with each key that is due, which is forgotten before. */
  constructor(clock: Clock, act: (key: Key) => void) {
    this.#clock = clock
    this.#act = act
  }

  /** In `delayMs`, instead of what was set for the key; never, when that is `Infinity`. */
  set(key: Key, delayMs: number): void {
    this.#dueMs.delete(key)
    if (delayMs === Number.POSITIVE_INFINITY) return
    const dueMs = this.#clock.monotonicMs() + delayMs
    this.#dueMs.set(key, dueMs)
    if (dueMs < this.#timerMs) this.#wait(dueMs)
  }

  clear(key: Key): void {
    this.#dueMs.delete(key)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#dueMs.clear()
  }

  #wait(dueMs: number): void {
    this.#timer?.cancel()
    this.#timerMs = dueMs
    const waitMs = Math.min(maxWaitMs, Math.max(0, dueMs - this.#clock.monotonicMs()))
    this.#timer = this.#clock.after(waitMs, () => this.#run())
  }

  #run(): void {
    this.#timerMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    const due = [...this.#dueMs].filter(([, dueMs]) => dueMs <= nowMs)
    for (const [key] of due) if (this.#dueMs.delete(key)) this.#act(key)
    let nextMs = Number.POSITIVE_INFINITY
    for (const dueMs of this.#dueMs.values()) nextMs = Math.min(nextMs, dueMs)
    if (nextMs < this.#timerMs) this.#wait(nextMs)
  }
}
