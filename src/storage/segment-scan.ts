import type { NewestBytes, StoredBytes } from './frame-walk.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

/** Read at once: a commit that comes meanwhile waits for it. */
const windowBytes = 128 * 1024

/** Reads a segment from front to back past the block cache, so that cleaning does not push out what readers use. */
export class SegmentScan implements StoredBytes {
  readonly sharedBytes = Number.POSITIVE_INFINITY
  #segment: Segment | undefined
  #window: Window = { buffer: Buffer.alloc(0), start: 0, end: 0, trusted: false }

  window(segment: Segment, position: number, length: number): Window | undefined {
    const { start, end } = this.#window
    return segment === this.#segment && position >= start && position + length <= end ? this.#window : undefined
  }

  async load(segment: Segment, position: number, length: number): Promise<Window> {
    const wanted = Math.max(length, Math.min(windowBytes, segment.end - position))
    const buffer = Buffer.allocUnsafeSlow(wanted)
    const count = await segment.slot.file.read(buffer, position)
    buffer.fill(0, count)
    this.#segment = segment
    this.#window = { buffer, start: position, end: position + wanted, trusted: false }
    return this.#window
  }

  /** A window is read whatever comes. */
  ahead(): void {}

  prefetch(): void {}
}

/** No memory of newest groups: everything is read from the device, and verified. */
export const noNewestBytes: NewestBytes = { window: () => undefined, nextGroup: (_segment, position) => position }
