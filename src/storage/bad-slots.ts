import { join } from 'node:path'
import type { Files } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import { badSlotName, slotOfBadName } from './slot.ts'
import type { Slot } from './slot-file.ts'

/**
 * Slots that are not used because the device refused writes to them, or because their file cannot be opened. They take their part of the budget: once nothing in such a slot is needed, its file keeps its blocks from everybody, under a name that says so.
 */
export class BadSlots {
  readonly #files: Files
  readonly #directory: string
  readonly #logger: Logger
  readonly #numbers = new Set<number>()

  constructor(files: Files, directory: string, logger: Logger) {
    this.#files = files
    this.#directory = directory
    this.#logger = logger
  }

  get count(): number {
    return this.#numbers.size
  }

  has(number: number): boolean {
    return this.#numbers.has(number)
  }

  /** Takes a file found at the start in, if it is one of these. Called in the order of names: before the slot itself. */
  adopt(name: string): void {
    const number = slotOfBadName(name)
    if (number !== undefined) this.#numbers.add(number)
  }

  /** The slot is there: something in it may be needed yet. */
  found(slot: Slot): void {
    slot.isBad = this.#numbers.delete(slot.number)
  }

  add(number: number): void {
    this.#numbers.add(number)
  }

  /** Nothing in the slot is needed any more. */
  async retire(slot: Slot): Promise<void> {
    this.add(slot.number)
    await slot.file.close()
    try {
      await this.#files.rename(slot.path, join(this.#directory, badSlotName(slot.number)))
    } catch (error) {
      // the next start finds it as it was
      this.#logger.warn({ slot: slot.number, error: String(error) }, 'a bad slot cannot be renamed')
    }
  }
}
