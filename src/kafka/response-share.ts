import type { MemoryBudget } from '../core/memory-budget.ts'

/** Part of `memory.budget` that responses may fill, those in sockets of slow readers included. */
const shareOfBudget = 1 / 8
/** Part of what is left that one more fetch may take. */
const shareOfRest = 1 / 8
const leastFetchBytes = 16 * 1024

/**
 * Memory of responses that are not yet with the kernel. A fetch gets a part of what is left, so that any number of readers that do not
 * read shrink each other's answers and never take the whole budget from producers and devices.
 */
export class ResponseShare {
  readonly #memory: MemoryBudget
  readonly #limitBytes: number
  #heldBytes = 0

  constructor(memory: MemoryBudget) {
    this.#memory = memory
    this.#limitBytes = memory.limitBytes * shareOfBudget
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Fetches get nothing until answers were taken. */
  get exhausted(): boolean {
    return this.#heldBytes >= this.#limitBytes
  }

  /** Most bytes that a fetch may read now (it still returns one whole batch, however large, unless that is 0). */
  fetchBytes(wantedBytes: number): number {
    if (this.exhausted) return 0
    const grantedBytes = Math.floor((this.#limitBytes - this.#heldBytes) * shareOfRest)
    return Math.min(wantedBytes, Math.max(grantedBytes, leastFetchBytes))
  }

  /** `bytes` may be negative: then they are given back. */
  hold(bytes: number): void {
    this.#heldBytes += bytes
    if (bytes >= 0) this.#memory.take(bytes)
    else this.#memory.give(-bytes)
  }
}
