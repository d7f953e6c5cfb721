import { frameBatchBytes, frameHeaderBytes, frameIndex } from './frame.ts'
import { groupHeaderBytes, readGroupHeader } from './group.ts'
import { blockBytes } from './layout.ts'

/**
 * Tells whether frames may be missing from a damaged stretch of which some were saved: what lies between these must be group headers and
 * padding.
 */
export class DamageSurvey {
  /** Everything before it is accounted for. */
  #at = 0
  /** Where the group of the last frame ends, as its header says. */
  #groupEnd = 0
  #lostBytes = 0

  /** A frame whose header verifies stands at `at` of the stretch. Called in order. */
  found(stretch: Buffer, at: number): void {
    const headerAt = frameIndex(stretch, at) === 0 ? at - groupHeaderBytes : at
    this.#account(stretch, headerAt)
    if (headerAt < at && headerAt >= 0) this.#groupEnd = headerAt + (readGroupHeader(stretch, headerAt)?.length ?? 0)
    this.#at = at + frameHeaderBytes + frameBatchBytes(stretch, at)
  }

  /** Bytes that may have been frames, once all that could be saved was told. */
  lostBytes(stretch: Buffer): number {
    this.#account(stretch, stretch.length)
    return this.#lostBytes
  }

  /** From the last frame up to `end` should stand only padding: zeros, less than a block of them. */
  #account(stretch: Buffer, end: number): void {
    const length = end - this.#at
    if (length <= 0) return
    const isPadding = length < blockBytes && stretch.subarray(this.#at, end).every(byte => byte === 0)
    if (!isPadding || this.#at < this.#groupEnd) this.#lostBytes += length
  }
}
