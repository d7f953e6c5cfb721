import type { Clock, Timer } from '../platform/clock.ts'
import type { OpenGroup } from './open-group.ts'
import type { Placement } from './segment-writer.ts'

const mostBytes = 2 * 1024 * 1024
/** Of a slot: whatever a crash leaves unsynced can be written again into another one. */
const slotShare = 4
/** Part of the time until the sync after which it begins; the rest is for the sync itself. */
const startShare = 0.75

/** A group that was written, and what readers will need of it. */
export interface WrittenGroup {
  readonly group: OpenGroup
  readonly placement: Placement
  /** Of its header. */
  readonly crc: number
  /** Header and frames. */
  readonly bytes: Buffer
}

/**
 * Relaxed groups that the kernel has and the device perhaps not, oldest first, with a copy of their bytes: nobody may read them before the
 * sync that makes all of them durable at once. They stand in one segment, without another group in between.
 */
export class UnsyncedGroups {
  readonly #limitBytes: number
  readonly #clock: Clock
  readonly #syncMs: number
  #onOverdue: () => void = () => {}
  /** Runs from the first group on. */
  #timer: Timer | undefined
  #isOverdue = false
  /** Made when it is first needed: most logs have no relaxed topic. */
  #buffer: Buffer | undefined
  #groups: WrittenGroup[] = []
  #bytes = 0

  /** `syncMs`: see `CommitLogOptions.relaxedSyncMs`. */
  constructor(clock: Clock, slotBytes: number, syncMs: number) {
    this.#clock = clock
    this.#limitBytes = Math.min(mostBytes, Math.floor(slotBytes / slotShare))
    this.#syncMs = syncMs
  }

  /** Called when the oldest group has waited so long that its sync must begin. */
  onOverdue(callback: () => void): void {
    this.#onOverdue = callback
  }

  get isOverdue(): boolean {
    return this.#isOverdue
  }

  get count(): number {
    return this.#groups.length
  }

  /** Bytes of groups. */
  get bytes(): number {
    return this.#bytes
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limitBytes
  }

  /** Takes a copy of `written.bytes`. */
  add(written: WrittenGroup): void {
    if (this.#buffer === undefined) this.#buffer = Buffer.alloc(this.#limitBytes)
    const end = this.#bytes + written.bytes.length
    // a copy from shared memory goes word by word, a fill is a memcpy
    this.#buffer.fill(written.bytes, this.#bytes, end)
    this.#groups.push({ ...written, bytes: this.#buffer.subarray(this.#bytes, end) })
    this.#bytes = end
    this.#timer ??= this.#clock.after(this.#syncMs * startShare, () => {
      this.#isOverdue = true
      this.#onOverdue()
    })
  }

  /** All of them; their bytes stay as they are until the next `add`. */
  takeAll(): readonly WrittenGroup[] {
    this.stop()
    const groups = this.#groups
    this.#groups = []
    this.#bytes = 0
    return groups
  }

  /** Nothing is overdue any more. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isOverdue = false
  }
}
