import { join } from 'node:path'
import type { Metrics } from '../core/metrics.ts'
import type { Files } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import { slotFileName } from './slot.ts'

/** Slots kept aside at most. */
const maxQuarantined = 2

/** Where `0007.slot` is kept; the number at the end rises with each that is set aside. */
const quarantineName = (slot: number, order: number): string => slotFileName(slot).replace(/slot$/, `damaged-${order}`)

const orderOf = (name: string): number | undefined => {
  const match = /^\d{4,}\.damaged-(\d+)$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/**
 * Slots in which damage was found, as they were when nothing live was left in them: for whoever wants to know what happened to a card, or to
 * save more of a batch than a checksum lets through. Never read by the log. They take slots of the budget; the oldest goes when there are too
 * many, or when the log needs the slot.
 */
export class DamagedSlots {
  readonly #files: Files
  readonly #directory: string
  readonly #logger: Logger
  readonly #metrics: Metrics
  /** Oldest first. */
  readonly #orders = new Map<number, string>()

  constructor(files: Files, directory: string, logger: Logger, metrics: Metrics) {
    this.#files = files
    this.#directory = directory
    this.#logger = logger
    this.#metrics = metrics
  }

  get count(): number {
    return this.#orders.size
  }

  /** Takes a file found at the start in; false when it is none of these. Called in the order of names. */
  adopt(name: string): boolean {
    const order = orderOf(name)
    if (order === undefined) return false
    this.#orders.set(order, name)
    return true
  }

  /** The slot of this number is kept: no other gets its number meanwhile. */
  hasNumber(slot: number): boolean {
    return [...this.#orders].some(([order, name]) => name === quarantineName(slot, order))
  }

  /** Slots that a budget of `maxSlots` has for it beside the `needed` ones. */
  static limit(maxSlots: number, needed: number): number {
    return Math.max(0, Math.min(maxQuarantined, maxSlots - needed))
  }

  /** Renames the file of a slot of which nothing is needed any more. Durable when it resolves; then the slot is no slot of the log. */
  async take(slot: { readonly number: number; readonly path: string }): Promise<void> {
    const order = Math.max(0, ...this.#orders.keys()) + 1
    const name = quarantineName(slot.number, order)
    await this.#files.rename(slot.path, join(this.#directory, name))
    this.#orders.set(order, name)
    this.#metrics.add('storageQuarantined')
    this.#logger.warn({ slot: slot.number, file: name }, 'a slot in which damage was found is kept aside')
  }

  /** Deletes the oldest ones until `limit` are left. Returns how many went. */
  async shrink(limit: number): Promise<number> {
    let dropped = 0
    while (this.#orders.size > limit) {
      const order = Math.min(...this.#orders.keys())
      const name = this.#orders.get(order)!
      this.#orders.delete(order)
      dropped++
      await this.#files.remove(join(this.#directory, name))
      this.#metrics.add('storageQuarantineDropped')
      this.#logger.warn({ file: name }, 'damaged bytes that were kept aside are deleted, their space is needed')
    }
    return dropped
  }
}
