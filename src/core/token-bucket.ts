/** Times in milliseconds do not divide evenly. */
const rounding = 1e-6

/** A rate with a burst: holds at most what comes in a second. Time is passed in, and never goes back. */
export class TokenBucket {
  readonly #perSecond: number
  #tokens: number
  #filledMs: number | undefined

  /** `perSecond`: `Infinity` is no limit. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
  }

  /** Milliseconds until there is a token; 0: what comes next may pass. */
  waitMs(nowMs: number): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return 0
    this.#fill(nowMs)
    const missing = 1 - this.#tokens - rounding
    return missing <= 0 ? 0 : Math.ceil((missing / this.#perSecond) * 1000)
  }

  /** For what has passed, by now where the time is given; it may leave a debt, which later ones wait for. */
  take(tokens: number, nowMs?: number): void {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return
    if (nowMs !== undefined) this.#fill(nowMs)
    this.#tokens -= tokens
  }

  #fill(nowMs: number): void {
    const elapsedMs = nowMs - (this.#filledMs ?? nowMs)
    this.#filledMs = nowMs
    this.#tokens = Math.min(this.#perSecond, this.#tokens + (elapsedMs / 1000) * this.#perSecond)
  }
}
