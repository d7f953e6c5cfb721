import { assert } from '../core/assert.ts'
import { BrokerError } from '../core/errors.ts'
import { batchOverheadBytes, type GroupStamp, OpenGroup } from './open-group.ts'

/**
 * The groups that are not being written yet: the one that gathers, and closed ones that wait for their turn, each in an arena of its
 * own. When all arenas are in use nothing more is taken: `memoryFull`.
 */
export class GroupGatherer {
  #open: OpenGroup | undefined
  #nextNumber: number
  readonly #closed: OpenGroup[] = []
  readonly #arenas: readonly Buffer[]
  readonly #freeArenas: number[]
  readonly #maxBytes: number
  readonly #stamp: () => GroupStamp

  constructor(arenas: readonly Buffer[], firstNumber: number, maxBytes: number, stamp: () => GroupStamp) {
    this.#arenas = arenas
    this.#freeArenas = arenas.map((_, arena) => arena)
    this.#nextNumber = firstNumber
    this.#maxBytes = maxBytes
    this.#stamp = stamp
  }

  /** Number of the group that gathers, also while nothing is in it. */
  get openNumber(): number {
    return this.#open?.number ?? this.#nextNumber
  }

  /** Something is in the group that gathers. */
  get hasOpen(): boolean {
    return this.#open !== undefined && !this.#open.isEmpty
  }

  /** Records in the group that gathers, if it may wait for more: nothing older waits and it is no group of its own. */
  get openRecords(): number | undefined {
    if (this.#closed.length > 0 || !this.hasOpen || this.#open?.flags !== 0) return undefined
    return this.#open.recordCount
  }

  /** The group that gathers may be acknowledged before its sync, as far as it goes. */
  get openIsRelaxed(): boolean {
    return this.#open?.isRelaxed === true
  }

  /** Bytes that wait to be written. */
  get waitingBytes(): number {
    let bytes = this.#open?.bytes ?? 0
    for (const group of this.#closed) bytes += group.bytes
    return bytes
  }

  /**
   * The group that takes `bytes` in at most `frames` frames: the present one, or a new one. A single append may exceed the usual size of
   * a group; it is then a group of its own. Throws `memoryFull` before anything has changed.
   */
  groupFor(bytes: number, frames: number): OpenGroup {
    const open = this.#open
    if (open !== undefined) {
      if (open.hasRoom(bytes, frames, open.isEmpty ? open.capacityBytes : this.#maxBytes)) return open
      if (open.isEmpty) throw this.#tooLarge(bytes, open)
      this.#needArena()
      this.#closeOpen(open)
    }
    return this.#begin(bytes, frames)
  }

  /** As `groupFor`, for a record that may begin a batch. */
  groupForRecord(bytes: number): OpenGroup {
    return this.groupFor(bytes + batchOverheadBytes, 1)
  }

  /** A group of its own with these flags; nothing need be in it. */
  special(flags: number): OpenGroup {
    const open = this.#open
    if (open !== undefined && !open.isEmpty) {
      this.#needArena()
      this.#closeOpen(open)
    }
    const group = this.#open ?? this.#begin(0, 0)
    group.flags = flags
    return group
  }

  /** What is appended from now on goes into a later group. */
  close(): void {
    if (this.#open !== undefined && !this.#open.isEmpty) this.#closeOpen(this.#open)
  }

  /** The oldest group that waits; the one that gathers is closed for it. */
  takeNext(): OpenGroup | undefined {
    const open = this.#open
    if (this.#closed.length === 0 && open !== undefined && !open.isEmpty) this.#closeOpen(open)
    return this.#closed.shift()
  }

  /** The group was written and its bytes were copied. */
  releaseArena(arena: number): void {
    assert(!this.#freeArenas.includes(arena), 'an arena is released once')
    this.#freeArenas.push(arena)
  }

  #begin(bytes: number, frames: number): OpenGroup {
    const arena = this.#freeArenas.at(-1)
    const buffer = arena === undefined ? undefined : this.#arenas[arena]
    if (arena === undefined || buffer === undefined) throw this.#memoryFull()
    const group = new OpenGroup(this.#nextNumber, arena, buffer, this.#stamp())
    if (!group.hasRoom(bytes, frames, group.capacityBytes)) throw this.#tooLarge(bytes, group)
    this.#freeArenas.pop()
    this.#nextNumber++
    this.#open = group
    return group
  }

  #closeOpen(group: OpenGroup): void {
    group.close()
    this.#closed.push(group)
    this.#open = undefined
  }

  #needArena(): void {
    if (this.#freeArenas.length === 0) throw this.#memoryFull()
  }

  #tooLarge(bytes: number, group: OpenGroup): BrokerError {
    return new BrokerError('recordTooLarge', `${bytes} bytes do not fit in one commit of ${group.capacityBytes}`)
  }

  #memoryFull(): BrokerError {
    return new BrokerError('memoryFull', 'too much waits for the device')
  }
}
