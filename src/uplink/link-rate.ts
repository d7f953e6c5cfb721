const leastBytes = 16 << 10
const firstBytes = 64 << 10
const mostBytes = 4 << 20
const secondMs = 1000
/** Of a new measurement in the estimate. */
const weight = 0.5

/**
 * What the link carries, and how many bytes may be under way on it: what it carried in a second and one round trip. Times are passed in,
 * milliseconds.
 */
export class LinkRate {
  #windowBytes = firstBytes
  #bytesPerSecond: number | undefined
  #roundTripMs: number | undefined

  /** Bytes that may be under way. */
  get windowBytes(): number {
    return this.#windowBytes
  }

  /** Undefined before the first measurement. */
  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond
  }

  /** So many bytes were acknowledged this long after they were handed over. At most doubles the window. */
  acknowledged(bytes: number, elapsedMs: number): void {
    const measured = (bytes / Math.max(1, elapsedMs)) * secondMs
    // what did not fill the window says nothing of how much would fit
    if (bytes < this.#windowBytes / 2 && measured < (this.#bytesPerSecond ?? 0)) return
    this.#bytesPerSecond = this.#bytesPerSecond === undefined ? measured : mix(this.#bytesPerSecond, measured)
    const carried = (this.#bytesPerSecond * (secondMs + (this.#roundTripMs ?? 0))) / secondMs
    this.#windowBytes = bounded(Math.min(carried, 2 * this.#windowBytes))
  }

  /** A small request was answered after this long. */
  answered(elapsedMs: number): void {
    this.#roundTripMs = Math.min(this.#roundTripMs ?? elapsedMs, elapsedMs)
  }

  /** Nothing came back in time: the link is worse than it was. */
  timedOut(): void {
    this.#windowBytes = bounded(this.#windowBytes / 2)
    this.#roundTripMs = undefined
    if (this.#bytesPerSecond !== undefined) this.#bytesPerSecond /= 2
  }
}

const mix = (before: number, measured: number): number => before * (1 - weight) + measured * weight

const bounded = (bytes: number): number => Math.round(Math.min(mostBytes, Math.max(leastBytes, bytes)))
