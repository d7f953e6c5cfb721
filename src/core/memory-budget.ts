import { assert } from './assert.ts'

/**
 * One account for every byte that a peer can make us hold: open batches, ack queues, parked fetches, socket buffers, caches.
 * It never refuses: work in hand is finished. Fronts stop reading their sockets while `exhausted`, and read on at `onRelief`.
 */
export class MemoryBudget {
  readonly limitBytes: number
  #usedBytes = 0
  #waiting: (() => void)[] = []

  constructor(limitBytes: number) {
    assert(limitBytes > 0, 'memory budget is positive')
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Nothing new may be read from any socket. */
  get exhausted(): boolean {
    return this.#usedBytes >= this.limitBytes
  }

  /** Somebody waits for relief, which comes some way below the limit: who holds memory to no end should give it back. */
  get awaited(): boolean {
    return this.#waiting.length > 0
  }

  take(bytes: number): void {
    this.#usedBytes += bytes
  }

  /** Gives back what `take` took. Relief comes at seven eighths of the limit, so that readers do not flap. */
  give(bytes: number): void {
    this.#usedBytes -= bytes
    assert(this.#usedBytes >= 0, 'memory given back was taken before')
    if (this.#waiting.length === 0 || this.#usedBytes > this.limitBytes - this.limitBytes / 8) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resume of waiting) resume()
  }

  /** Calls `resume` once, as soon as there is room again (at once when there is). */
  onRelief(resume: () => void): void {
    if (this.exhausted) this.#waiting.push(resume)
    else resume()
  }
}
