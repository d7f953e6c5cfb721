import type { Random } from '../platform/random.ts'

/** Growing pauses, each a random part of its length, so that a fleet does not come back in step. */
export class Backoff {
  readonly #firstMs: number
  readonly #longestMs: number
  readonly #random: Random
  #nextMs: number

  constructor(firstMs: number, longestMs: number, random: Random) {
    this.#firstMs = firstMs
    this.#longestMs = longestMs
    this.#random = random
    this.#nextMs = firstMs
  }

  /** The next pause: between half of its length and all of it. */
  pauseMs(): number {
    const ms = this.#nextMs
    this.#nextMs = Math.min(2 * ms, this.#longestMs)
    return Math.round(ms * (0.5 + this.#random.fraction() / 2))
  }

  /** It worked: the next trouble starts over. */
  reset(): void {
    this.#nextMs = this.#firstMs
  }
}
