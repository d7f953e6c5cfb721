import { type GroupNumber, groupNumber } from '../../src/core/brand.ts'
import { BrokerError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { StateLog } from '../../src/state/state-log.ts'
import type { StateChange, View } from '../../src/state/view.ts'

interface Written {
  readonly group: number
  readonly viewName: string
  readonly key: Buffer
  readonly value: Buffer | null
}

interface Waiter {
  readonly group: number
  resolve(): void
  reject(error: BrokerError): void
}

/**
 * A `StateLog` in memory whose device can be slow, stand still, be full or break. Each `write` is a group. Groups that wait while the
 * device is busy are synced together.
 */
export class MemoryStateLog implements StateLog {
  /** How long a sync takes. */
  syncMs = 0
  /** While true, no sync ends. */
  held = false
  /** A planted bug: says durable what is not. */
  lying = false
  /** While true, writes throw `storageFull`. */
  full = false
  /** Groups written and syncs done so far. */
  writes = 0
  syncs = 0
  readonly #clock: Clock
  readonly #written: Written[] = []
  readonly #lastGroupOf = new Map<string, number>()
  #waiters: Waiter[] = []
  #open = 1
  #durable = 0
  #syncing = false
  #failed = false
  #ageOffset = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get writable(): boolean {
    return !this.#failed
  }

  get logAge(): number {
    return this.#ageOffset + this.#clock.monotonicMs() / 1000
  }

  /** Log age jumps on, as over a long time that the clock of the test need not go through. */
  age(seconds: number): void {
    this.#ageOffset += seconds
  }

  write(changes: readonly StateChange[]): GroupNumber {
    if (this.#failed) throw new BrokerError('storageFailed', 'the device failed')
    if (this.full) throw new BrokerError('storageFull', 'no slot')
    const group = this.#open++
    this.writes++
    for (const { view, key, value } of changes) {
      this.#written.push({ group, viewName: view.name, key: Buffer.from(key), value })
      this.#lastGroupOf.set(view.name, group)
      view.apply(key, value)
    }
    this.#sync()
    return groupNumber(group)
  }

  durable(view: View): Promise<void> {
    return this.whenDurable(groupNumber(this.#lastGroupOf.get(view.name) ?? 0))
  }

  whenDurable(group: GroupNumber): Promise<void> {
    if (group <= this.#durable || this.lying) return Promise.resolve()
    if (this.#failed) return Promise.reject(new BrokerError('storageFailed', 'the device failed'))
    return new Promise((resolve, reject) => this.#waiters.push({ group, resolve, reject }))
  }

  /** Lets syncs end again. */
  release(): void {
    this.held = false
    this.#sync()
  }

  /** What waits is never durable, nor is anything after it. */
  fail(): void {
    this.#failed = true
    const error = new BrokerError('storageFailed', 'the device failed')
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  /** Power is cut and comes back: of what was not durable only the first `lucky` groups are there; who waits is told nothing but a failure. */
  restart(lucky = 0): void {
    const kept = this.#durable + lucky
    const written = this.#written.filter(({ group }) => group <= kept)
    this.#written.splice(0, this.#written.length, ...written)
    const error = new BrokerError('storageFailed', 'the power is cut')
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
    this.#durable = this.#open - 1
    this.held = false
    this.full = false
  }

  /** Shows `view` everything that is written. */
  replayTo(view: View): void {
    for (const { viewName, key, value } of this.#written) {
      if (viewName === view.name) view.apply(key, value)
    }
  }

  #sync(): void {
    if (this.#syncing || this.held || this.#failed || this.#durable === this.#open - 1) return
    this.#syncing = true
    const last = this.#open - 1
    const done = () => {
      this.#syncing = false
      if (this.#failed || this.held) return
      this.syncs++
      this.#durable = Math.max(this.#durable, last)
      const ready = this.#waiters.filter(({ group }) => group <= last)
      this.#waiters = this.#waiters.filter(({ group }) => group > last)
      for (const waiter of ready) waiter.resolve()
      this.#sync()
    }
    if (this.syncMs === 0) queueMicrotask(done)
    else this.#clock.after(this.syncMs, done)
  }
}
