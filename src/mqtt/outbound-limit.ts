import type { MemoryBudget } from '../core/memory-budget.ts'

/** All subscribers together may hold this part of the memory budget; ingest keeps the rest. */
const share = 8
/** A connection with less than this is never slow. */
const leastBytes = 16 * 1024

/** Bytes that wait for sockets of subscribers, and who of them is too slow. */
export class OutboundLimit {
  readonly #memory: MemoryBudget
  readonly #perConnectionBytes: number
  #totalBytes = 0

  constructor(memory: MemoryBudget, perConnectionBytes: number) {
    this.#memory = memory
    this.#perConnectionBytes = perConnectionBytes
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /** `bytes` more wait than before; negative: less. */
  hold(bytes: number): void {
    this.#totalBytes += bytes
    if (bytes >= 0) this.#memory.take(bytes)
    else this.#memory.give(-bytes)
  }

  /** Is a connection with `pendingBytes` too slow to get more? */
  tooSlow(pendingBytes: number): boolean {
    if (pendingBytes > this.#perConnectionBytes) return true
    return this.#totalBytes > this.#memory.limitBytes / share && pendingBytes > leastBytes
  }
}
