import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'

/** Connections of a front that are not read because `memory.budget` is out. One entry in the budget's list stands for all of them. */
export class ReadGate {
  readonly memory: MemoryBudget
  readonly #metrics: Metrics
  readonly #front: 'kafka' | 'mqtt'
  readonly #parked = new Set<() => void>()
  #waiting = false

  constructor(memory: MemoryBudget, metrics: Metrics, front: 'kafka' | 'mqtt') {
    this.memory = memory
    this.#metrics = metrics
    this.#front = front
  }

  get closed(): boolean {
    return this.memory.exhausted
  }

  /** Somebody, of this front or another, is not read until memory is given back. */
  get awaited(): boolean {
    return this.memory.awaited
  }

  /** Calls `resume` once when there is memory again. */
  park(resume: () => void): void {
    this.#metrics.add('memoryPauses', 1, this.#front)
    this.#parked.add(resume)
    if (this.#waiting) return
    this.#waiting = true
    this.memory.onRelief(() => this.#open())
  }

  forget(resume: () => void): void {
    this.#parked.delete(resume)
  }

  #open(): void {
    this.#waiting = false
    const parked = [...this.#parked]
    this.#parked.clear()
    for (const resume of parked) resume()
  }
}
