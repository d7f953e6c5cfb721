import type { MemoryBudget } from '../core/memory-budget.ts'

/** One use of the memory budget, with a part of it as its limit: what clients make us keep must not stop those that publish. */
export class MemoryShare {
  readonly #memory: MemoryBudget
  readonly #limitBytes: number
  #bytes = 0

  /** `divisor` 4: a quarter of the budget. */
  constructor(memory: MemoryBudget, divisor: number) {
    this.#memory = memory
    this.#limitBytes = memory.limitBytes / divisor
  }

  get bytes(): number {
    return this.#bytes
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limitBytes
  }

  /** `bytes` more are held than before; negative: less. */
  hold(bytes: number): void {
    this.#bytes += bytes
    if (bytes >= 0) this.#memory.take(bytes)
    else this.#memory.give(-bytes)
  }
}
