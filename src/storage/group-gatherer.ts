import { assert } from '../core/assert.ts'
import { BrokerError } from '../core/errors.ts'
import { groupHeaderBytes } from './group.ts'
import { type GroupStamp, OpenGroup } from './open-group.ts'

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
    return this.#open !== undefined
  }

  get hasWork(): boolean {
    return this.#open !== undefined || this.#closed.length > 0
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
      if (open.hasRoom(bytes, frames, this.#maxBytes)) return open
      this.#needArena()
      this.#closeOpen(open)
    }
    return this.#begin(bytes, frames)
  }

  /** A group of its own with these flags; nothing need be in it. */
  special(flags: number): OpenGroup {
    if (this.#open !== undefined) {
      this.#needArena()
      this.#closeOpen(this.#open)
    }
    const group = this.#begin(0, 0)
    group.flags = flags
    return group
  }

  /** The oldest group that waits; the one that gathers is closed for it. */
  takeNext(): OpenGroup | undefined {
    if (this.#closed.length === 0 && this.#open !== undefined) this.#closeOpen(this.#open)
    return this.#closed.shift()
  }

  /** The group is on the device and its bytes were copied. */
  releaseArena(arena: number): void {
    assert(!this.#freeArenas.includes(arena), 'an arena is released once')
    this.#freeArenas.push(arena)
  }

  /** Largest sum of batches and their frame headers that one group holds. */
  get capacityBytes(): number {
    return new OpenGroup(0, 0, this.#arenas[0]!, this.#stamp()).capacityBytes - groupHeaderBytes
  }

  #begin(bytes: number, frames: number): OpenGroup {
    const arena = this.#freeArenas.at(-1)
    const buffer = arena === undefined ? undefined : this.#arenas[arena]
    if (arena === undefined || buffer === undefined) throw this.#memoryFull()
    const group = new OpenGroup(this.#nextNumber, arena, buffer, this.#stamp())
    if (!group.hasRoom(bytes, frames, group.capacityBytes)) {
      throw new BrokerError('recordTooLarge', `${bytes} bytes do not fit in one commit of ${group.capacityBytes}`)
    }
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

  #memoryFull(): BrokerError {
    return new BrokerError('memoryFull', 'too much waits for the device')
  }
}
