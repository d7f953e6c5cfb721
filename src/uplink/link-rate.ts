const leastWindowBytes = 16 << 10
const firstWindowBytes = 64 << 10
const mostWindowBytes = 4 << 20
/** Waves under way at once, so that the link has the next one before the answer to the one before is back. */
const wavesPerWindow = 4
/** Less would make what a round costs beside its records a large part of a slow link. */
const leastRoundBytes = 64 << 10
/** Held in memory meanwhile. */
const mostRoundBytes = 4 << 20
const secondMs = 1000
/** Of a new measurement in the estimate. */
const weight = 0.5
/** A round is at least this long, and so many round trips: three or four of them its link stands idle, for what must wait for answers. */
const leastRoundMs = 250
const roundTripsPerRound = 20
/** Readers upstream wait for the end of a round. */
const mostRoundMs = 12_000
/** Of what a lone wave took, the round trip is at most this share. */
const roundTripShare = 0.75

/**
 * What the link carries, and how many bytes may be under way on it: what it carries in a second and one round trip. Times are passed in,
 * milliseconds.
 */
export class LinkRate {
  #windowBytes = firstWindowBytes
  #bytesPerSecond: number | undefined
  #roundTripMs: number | undefined

  /** Bytes that may be under way. */
  get windowBytes(): number {
    return this.#windowBytes
  }

  /** Bytes that go out together. */
  get waveBytes(): number {
    return this.#windowBytes / wavesPerWindow
  }

  /** Bytes of one round: so much that most of its time the link carries records. */
  get roundBytes(): number {
    const rate = this.#bytesPerSecond ?? 0
    const roundMs = Math.min(mostRoundMs, Math.max(leastRoundMs, roundTripsPerRound * (this.#roundTripMs ?? 0)))
    // a window that shrank after timeouts counts more than what was measured before them
    return bounded(Math.min((rate * roundMs) / secondMs, 16 * this.#windowBytes), leastRoundBytes, mostRoundBytes)
  }

  /** Undefined before the first measurement. */
  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond
  }

  /**
   * So many bytes were acknowledged while one wave was under way; `isAlone`: nothing else was when it went out, so that a round trip of the
   * time was spent on the way. At most doubles the window.
   */
  acknowledged(bytes: number, elapsedMs: number, isAlone: boolean): void {
    const onTheWayMs = isAlone ? Math.min(this.#roundTripMs ?? 0, elapsedMs * roundTripShare) : 0
    const measured = (bytes / Math.max(1, elapsedMs - onTheWayMs)) * secondMs
    // what did not fill the window says nothing of how much would fit
    if (bytes < this.#windowBytes / 2 && measured < (this.#bytesPerSecond ?? 0)) return
    this.#bytesPerSecond = this.#bytesPerSecond === undefined ? measured : mix(this.#bytesPerSecond, measured)
    const carried = (this.#bytesPerSecond * (secondMs + (this.#roundTripMs ?? 0))) / secondMs
    this.#windowBytes = bounded(Math.min(carried, 2 * this.#windowBytes), leastWindowBytes, mostWindowBytes)
  }

  /** A small request was answered after this long. */
  answered(elapsedMs: number): void {
    this.#roundTripMs = Math.min(this.#roundTripMs ?? elapsedMs, elapsedMs)
  }

  /** Nothing came back in time: the link is worse than it was. */
  timedOut(): void {
    this.#windowBytes = bounded(this.#windowBytes / 2, leastWindowBytes, mostWindowBytes)
    this.#roundTripMs = undefined
    if (this.#bytesPerSecond !== undefined) this.#bytesPerSecond /= 2
  }
}

const mix = (before: number, measured: number): number => before * (1 - weight) + measured * weight

const bounded = (bytes: number, least: number, most: number): number =>
  Math.round(Math.min(most, Math.max(least, bytes)))
