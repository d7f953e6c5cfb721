import { MalformedFrame } from '../../core/malformed-frame.ts'
import { foreignProtocol } from '../foreign-protocol.ts'

const SIZE_BYTES = 4
const FIRST_PARTIAL_BYTES = 64 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * Cuts a byte stream into frames: an int32 size, then as many bytes. Frames that lie whole inside one chunk are slices
 * of it; only what spans chunks is copied. Memory held is at most 64 KiB or twice what was received, whatever size a
 * peer announces.
 */
export class FrameSplitter {
  private readonly maxFrameBytes: number
  /** The start of a frame that is not complete, size prefix included; `held` of its bytes are filled. */
  private partial = NOTHING
  private held = 0

  /** `maxFrameBytes`: the largest frame accepted, size prefix not counted. */
  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Bytes allocated for a frame that is not complete; for the memory budget. */
  get bufferedBytes(): number {
    return this.partial.length
  }

  /**
   * Takes the next chunk and returns the frames that it completes, without their size prefix. The chunk may be reused
   * as soon as the frames are done with. Throws MalformedFrame for a negative or too large size; the stream is lost then.
   */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = []
    let position = this.held > 0 ? this.completePartial(chunk, frames) : 0
    while (chunk.length - position >= SIZE_BYTES) {
      const start = position + SIZE_BYTES
      const end = start + this.checkedSize(chunk, position)
      if (end > chunk.length) break
      frames.push(chunk.subarray(start, end))
      position = end
    }
    if (position < chunk.length) this.hold(chunk, position, chunk.length, this.wantedBytes(chunk, position))
    return frames
  }

  /** Fills the partial frame from the chunk; returns the position in the chunk after what was used. */
  private completePartial(chunk: Buffer, frames: Buffer[]): number {
    let position = 0
    if (this.held < SIZE_BYTES) {
      position = Math.min(SIZE_BYTES - this.held, chunk.length)
      this.hold(chunk, 0, position, SIZE_BYTES)
      if (this.held < SIZE_BYTES) return position
    }
    const wanted = SIZE_BYTES + this.checkedSize(this.partial, 0)
    const end = Math.min(chunk.length, position + wanted - this.held)
    this.hold(chunk, position, end, wanted)
    if (this.held === wanted) {
      frames.push(this.partial.subarray(SIZE_BYTES, wanted))
      this.partial = NOTHING
      this.held = 0
    }
    return end
  }

  /** What the frame at `position` takes in all, or its size prefix alone while that is cut. */
  private wantedBytes(chunk: Buffer, position: number): number {
    return chunk.length - position < SIZE_BYTES ? SIZE_BYTES : SIZE_BYTES + this.checkedSize(chunk, position)
  }

  private checkedSize(buffer: Buffer, position: number): number {
    const size = buffer.readInt32BE(position)
    if (size < 0 || size > this.maxFrameBytes) {
      const protocol = foreignProtocol(buffer, position)
      const hint = protocol === undefined ? '' : `; this looks like ${protocol}`
      throw new MalformedFrame('frame', `size ${size} is not within 0 and ${this.maxFrameBytes}${hint}`)
    }
    return size
  }

  private hold(chunk: Buffer, start: number, end: number, wanted: number): void {
    const needed = this.held + end - start
    if (needed > this.partial.length) {
      const grown = Buffer.allocUnsafe(Math.min(wanted, Math.max(2 * needed, FIRST_PARTIAL_BYTES)))
      this.partial.copy(grown, 0, 0, this.held)
      this.partial = grown
    }
    chunk.copy(this.partial, this.held, start, end)
    this.held = needed
  }
}
