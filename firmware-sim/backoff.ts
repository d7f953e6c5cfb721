import type { Random } from './random.ts'

/** Waiting times between attempts to connect: doubling up to a limit, each drawn from zero up (full jitter). */
export class Backoff {
  private readonly minMs: number
  private readonly maxMs: number
  private readonly random: Random
  private attempts = 0

  constructor(minMs: number, maxMs: number, random: Random) {
    this.minMs = minMs
    this.maxMs = maxMs
    this.random = random
  }

  /** The next wait; at least 1 ms. */
  nextMs(): number {
    const limitMs = Math.min(this.maxMs, this.minMs * 2 ** Math.min(this.attempts, 30))
    this.attempts++
    return Math.max(1, Math.round(this.random.between(0, limitMs)))
  }

  /** To be called when an attempt succeeded. */
  reset(): void {
    this.attempts = 0
  }
}
