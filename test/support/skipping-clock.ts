import type { Clock, Timer } from '../../src/platform/clock.ts'
import { settle } from './virtual-clock.ts'

interface Entry {
  readonly atMs: number
  readonly callback: () => void
  wait?: NodeJS.Timeout
}

/** Real time that a test can move ahead: for brokers behind real sockets, whose clients should not have to wait for minutes. */
export class SkippingClock implements Clock {
  readonly bootId = 'skipping'
  #skippedMs = 0
  readonly #timers = new Set<Entry>()

  wallMs(): number {
    return Date.now() + this.#skippedMs
  }

  monotonicMs(): number {
    return performance.now() + this.#skippedMs
  }

  sinceBootMs(): number {
    return this.monotonicMs()
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Entry = { atMs: this.monotonicMs() + Math.max(0, delayMs), callback }
    this.#timers.add(entry)
    this.#arm(entry)
    return { cancel: () => this.#forget(entry) }
  }

  afterIo(callback: () => void): void {
    setImmediate(callback)
  }

  /** Time goes on by `byMs` at once; what comes due on the way fires in its order. */
  async skip(byMs: number): Promise<void> {
    const endMs = this.monotonicMs() + byMs
    for (;;) {
      await settle()
      const next = this.#next()
      if (next === undefined || next.atMs > endMs) break
      this.#skippedMs += Math.max(0, next.atMs - this.monotonicMs())
      this.#fire(next)
    }
    this.#skippedMs += Math.max(0, endMs - this.monotonicMs())
    for (const entry of this.#timers) this.#arm(entry)
    await settle()
  }

  #next(): Entry | undefined {
    let next: Entry | undefined
    for (const entry of this.#timers) if (next === undefined || entry.atMs < next.atMs) next = entry
    return next
  }

  #arm(entry: Entry): void {
    clearTimeout(entry.wait)
    const waitMs = Math.min(2 ** 31 - 1, Math.max(0, Math.ceil(entry.atMs - this.monotonicMs())))
    entry.wait = setTimeout(() => {
      if (entry.atMs <= this.monotonicMs()) this.#fire(entry)
      else this.#arm(entry)
    }, waitMs)
    entry.wait.unref()
  }

  #fire(entry: Entry): void {
    this.#forget(entry)
    entry.callback()
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.wait)
    this.#timers.delete(entry)
  }
}
