import type { Clock, Timer } from '../../src/platform/clock.ts'

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

/** Lets everything run that only waits for promises. */
export const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A clock that stands still until a test moves it. Timers fire in order of time, then of creation. */
export class VirtualClock implements Clock {
  readonly bootId = 'virtual'
  #nowMs = 0
  #order = 0
  /** Sorted, the next one last. */
  readonly #timers: Entry[] = []
  readonly #afterIo: (() => void)[] = []

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  sinceBootMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#timers[middle]!.atMs > entry.atMs) low = middle + 1
      else high = middle
    }
    // among equals the older one must stay behind, that is fire first
    this.#timers.splice(low, 0, entry)
    return { cancel: () => this.#cancel(entry) }
  }

  afterIo(callback: () => void): void {
    this.#afterIo.push(callback)
  }

  /** Timers that are set. */
  get pendingTimers(): number {
    return this.#timers.length
  }

  /** Moves on by `byMs`, firing what comes due; promises settle before and after each timer. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs
    await this.#settle()
    for (let next = this.#timers.at(-1); next !== undefined && next.atMs <= endMs; next = this.#timers.at(-1)) {
      this.#timers.pop()
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
      await this.#settle()
    }
    this.#nowMs = endMs
  }

  async #settle(): Promise<void> {
    for (const callback of this.#afterIo.splice(0)) callback()
    await settle()
  }

  #cancel(entry: Entry): void {
    const at = this.#timers.indexOf(entry)
    if (at >= 0) this.#timers.splice(at, 1)
  }
}
