import type { Clock, Timer } from '../../../src/platform/clock.ts'

interface SimEvent {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** A run stopped making progress: something waits for what never comes. */
export class SimStuck extends Error {}

/** The machine that this clock belongs to has crashed: what was under way never finishes. */
export class SimCrashed extends Error {}

/** Virtual time that no run needs. */
const stuckAfterMs = 3_600_000
const stuckAfterEvents = 200_000

/** Lets all promise reactions run, as between two events of a real event loop. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/**
 * Virtual time and the one queue of everything that is going to happen: timers, ends of I/O, arrivals. Events run in order of time, then
 * of creation, so that a run depends on nothing but its seed.
 */
export class SimClock implements Clock {
  readonly bootId: string
  /** Moves the wall clock alone: steps of NTP. */
  wallOffsetMs = 1_700_000_000_000
  /** Awaited between two events: the place to look at the world. */
  betweenEvents: (() => Promise<void>) | undefined
  readonly #bootedAtMs: number
  #nowMs: number
  #order = 0
  #crashed = false
  /** Binary heap. */
  #events: SimEvent[] = []

  constructor(startMs = 0, bootId = 'boot-1', bootedAtMs = startMs) {
    this.#nowMs = startMs
    this.#bootedAtMs = bootedAtMs
    this.bootId = bootId
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get bootedAtMs(): number {
    return this.#bootedAtMs
  }

  get crashed(): boolean {
    return this.#crashed
  }

  wallMs(): number {
    return Math.floor(this.wallOffsetMs + this.#nowMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  sinceBootMs(): number {
    return Math.floor(this.#nowMs - this.#bootedAtMs)
  }

  after(delayMs: number, callback: () => void): Timer {
    let live = true
    this.#push(this.#nowMs + Math.max(0, delayMs), () => {
      if (live) callback()
      live = false
    })
    return {
      cancel: () => {
        live = false
      },
    }
  }

  afterIo(callback: () => void): void {
    this.#push(this.#nowMs, callback)
  }

  /** Nothing that waits will ever happen, and nothing new either. */
  crash(): void {
    this.#crashed = true
    this.#events = []
  }

  /** Runs events until `promise` settles. Throws `SimCrashed` when the machine crashes first, `SimStuck` when nothing is left to happen. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    const limitMs = this.#nowMs + stuckAfterMs
    for (let events = 0; ; events++) {
      await settle()
      if (this.betweenEvents !== undefined) await this.betweenEvents()
      if (this.#crashed) throw new SimCrashed('crashed')
      if (settled) return promise
      if (!this.#step()) throw new SimStuck(`nothing is left to happen at ${this.#nowMs} ms`)
      if (this.#nowMs > limitMs || events > stuckAfterEvents)
        throw new SimStuck(`no end after ${this.#nowMs} ms, ${events} events`)
    }
  }

  /** Runs everything that happens within `durationMs`. */
  advance(durationMs: number): Promise<void> {
    return this.run(new Promise<void>(resolve => this.after(durationMs, resolve)))
  }

  #step(): boolean {
    const event = this.#pop()
    if (event === undefined) return false
    this.#nowMs = Math.max(this.#nowMs, event.atMs)
    event.run()
    return true
  }

  #push(atMs: number, run: () => void): void {
    if (this.#crashed) return
    const events = this.#events
    const event = { atMs, order: this.#order++, run }
    let at = events.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, events[parent]!)) break
      events[at] = events[parent]!
      at = parent
    }
    events[at] = event
  }

  #pop(): SimEvent | undefined {
    const events = this.#events
    const first = events[0]
    const last = events.pop()
    if (first === undefined || last === undefined || events.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= events.length) break
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child++
      if (!isBefore(events[child]!, last)) break
      events[at] = events[child]!
      at = child
    }
    events[at] = last
    return first
  }
}

const isBefore = (one: SimEvent, other: SimEvent): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
