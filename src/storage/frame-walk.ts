import { HEADER_BYTES } from '../wire/kafka/record-batch.ts'
import { frameBatchBytes, frameHeaderBytes, frameHeaderIsIntact, frameIsHere } from './frame.ts'
import { groupHeaderBytes, groupMagic, readGroupHeader } from './group.ts'
import { alignUp, groupAlignBytes } from './layout.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

/** Of whatever stands at a position so much is at hand: a group header, or a frame header with the header of its batch. */
const probeBytes = Math.max(groupHeaderBytes, frameHeaderBytes + HEADER_BYTES)

/** Memory that may hold a stretch of a segment; `Tail`. */
export interface NewestBytes {
  window(segment: Segment, position: number, length: number): Window | undefined
  /** See `Tail.nextGroup`. */
  nextGroup(segment: Segment, position: number): number
}

/** Gives any durable stretch of a segment; `BlockCache`, or `SegmentScan`. */
export interface StoredBytes {
  window(segment: Segment, position: number, length: number): Window | undefined
  /** Bytes up to `aheadEnd` will be asked for as well. */
  load(segment: Segment, position: number, length: number, aheadEnd: number): Promise<Window>
  /** Whoever walks behind the block at `position` needs all up to `aheadEnd`. */
  ahead(segment: Segment, position: number, aheadEnd: number): void
  /** Others who read the same come to `position` soon, and go on there. */
  prefetch(segment: Segment, position: number): void
  /** Who read so many bytes on lets others go first, who may find these here. */
  readonly sharedBytes: number
}

/**
 * Walks the frames of a segment from a position where one begins, over group headers and padding, through memory where the bytes are
 * there and through the block cache where not. What came from the device is verified before its lengths are believed.
 */
export class FrameWalk {
  /** Where the present frame begins. */
  position: number
  /** The walk ran into bytes that are no frame of the log and went on behind them. */
  skippedDamage = false
  /** All up to here will be walked, and may be read at once. */
  aheadEnd = 0
  readonly #segment: Segment
  readonly #tail: NewestBytes
  readonly #cache: StoredBytes
  /** Looks for the next header behind damaged bytes. */
  #searching = false
  #window: Window = { buffer: Buffer.alloc(0), start: 0, end: 0, trusted: true }

  constructor(segment: Segment, position: number, tail: NewestBytes, cache: StoredBytes) {
    this.#segment = segment
    this.position = position
    this.#tail = tail
    this.#cache = cache
  }

  /** The buffer that holds the present frame's header and that of its batch; valid until the next call of anything here. */
  get buffer(): Buffer {
    return this.#window.buffer
  }

  /** Where in `buffer` the present frame begins. */
  get at(): number {
    return this.position - this.#window.start
  }

  /** Finds the frame at or after `position`; false at the end of the segment's durable data. No promise where memory has the bytes. */
  find(): boolean | Promise<boolean> {
    for (;;) {
      const found = this.#findInWindow()
      if (found !== undefined) return found
      this.position = this.#tail.nextGroup(this.#segment, this.position)
      if (!this.#open(this.position, this.#probeBytes)) return this.#loadAndFind()
    }
  }

  /** Moves behind the present frame. */
  skip(): void {
    this.position += frameHeaderBytes + frameBatchBytes(this.buffer, this.at)
  }

  /** Came from memory that this process wrote: needs no checksum. */
  get isTrusted(): boolean {
    return this.#window.trusted
  }

  /** The batch of the present frame, as a view that stays unchanged. No promise where memory has it. */
  batch(): Buffer | Promise<Buffer> {
    const length = frameHeaderBytes + frameBatchBytes(this.buffer, this.at)
    const isHere = this.#holds(this.position, length) || this.#open(this.position, length)
    return isHere ? this.#batchHere(length) : this.#loadBatch(length)
  }

  async #loadAndFind(): Promise<boolean> {
    await this.#load(this.position, this.#probeBytes)
    return this.find()
  }

  async #loadBatch(length: number): Promise<Buffer> {
    await this.#load(this.position, length)
    return this.#batchHere(length)
  }

  #batchHere(length: number): Buffer {
    return this.buffer.subarray(this.at + frameHeaderBytes, this.at + length)
  }

  #findInWindow(): boolean | undefined {
    const segment = this.#segment
    for (;;) {
      if (this.position + groupHeaderBytes > segment.end) return false
      if (!this.#holds(this.position, this.#probeBytes)) return undefined
      const { buffer, at } = this
      if (frameIsHere(buffer, at) && this.#frameIsSound()) {
        this.#searching = false
        return true
      }
      if (buffer.readUInt32BE(at) === groupMagic && this.#groupIsSound()) {
        this.#searching = false
        this.position += groupHeaderBytes
      } else if (this.#searching) this.position++
      else if (!this.#skipPadding()) {
        // damage: goes on byte by byte until a header verifies
        this.#searching = true
        this.skippedDamage = true
      }
    }
  }

  get #probeBytes(): number {
    return Math.min(probeBytes, this.#segment.end - this.position)
  }

  /** A frame whose header verifies must still lie within the segment. */
  #frameIsSound(): boolean {
    const { buffer, at, position } = this
    if (!this.#window.trusted && !frameHeaderIsIntact(buffer, at, this.#segment.seedAt(position))) return false
    return position + frameHeaderBytes + frameBatchBytes(buffer, at) <= this.#segment.end
  }

  #groupIsSound(): boolean {
    return this.#window.trusted || readGroupHeader(this.buffer, this.at) !== undefined
  }

  /** Between groups stand zeros up to the next place where one may begin; false when other bytes stand here. A cold segment has neither. */
  #skipPadding(): boolean {
    if (this.#segment.isCold) return false
    const next = alignUp(this.position + 1, groupAlignBytes)
    const { buffer, at } = this
    for (let index = at + next - this.position - 1; index >= at; index--) if (buffer[index] !== 0) return false
    this.position = next
    return true
  }

  #holds(position: number, length: number): boolean {
    const { start, end } = this.#window
    return position >= start && position + length <= end
  }

  /** Takes the bytes from memory; false when they are not there. */
  #open(position: number, length: number): boolean {
    const segment = this.#segment
    const window = this.#tail.window(segment, position, length) ?? this.#cache.window(segment, position, length)
    if (window === undefined) return false
    this.#take(window, position)
    return true
  }

  async #load(position: number, length: number): Promise<void> {
    this.#take(await this.#cache.load(this.#segment, position, length, this.aheadEnd), position)
  }

  #take(window: Window, position: number): void {
    this.#window = window
    if (!window.trusted) this.#cache.ahead(this.#segment, position, this.aheadEnd)
  }
}
