import { MalformedFrame } from '../../core/malformed-frame.ts'

const SIZE_BYTES = 4
const NO_FRAMES: readonly Buffer[] = []

/**
 * Cuts a byte stream into frames: an int32 size, then as many bytes. Frames that lie whole inside one chunk are slices
 * of it; only what spans chunks is copied, once. Memory held is what was received, whatever size a peer announces.
 */
export class FrameSplitter {
  private readonly maxFrameBytes: number
  private pieces: Buffer[] = []
  private held = 0

  /** `maxFrameBytes`: the largest frame accepted, size prefix not counted. */
  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Bytes kept of a frame that is not complete. */
  get bufferedBytes(): number {
    return this.held
  }

  /**
   * Takes the next chunk and returns the frames that it completes, without their size prefix. Keeps a reference to the
   * chunk when a frame is cut. Throws MalformedFrame for a negative or too large size; the stream is lost then.
   */
  push(chunk: Buffer): readonly Buffer[] {
    const wanted = this.held > 0 ? this.wantedBytes(chunk) : 0
    if (this.held + chunk.length < wanted) {
      this.hold(chunk)
      return NO_FRAMES
    }
    return this.split(this.held > 0 ? this.joinWith(chunk) : chunk)
  }

  /** Bytes needed before the frame begun can be cut; only its size while that is not known. */
  private wantedBytes(chunk: Buffer): number {
    if (this.held + chunk.length < SIZE_BYTES) return SIZE_BYTES
    const prefix = Buffer.concat([...this.pieces, chunk.subarray(0, SIZE_BYTES)], SIZE_BYTES)
    return SIZE_BYTES + this.checkedSize(prefix, 0)
  }

  private split(stream: Buffer): readonly Buffer[] {
    const frames: Buffer[] = []
    let position = 0
    while (stream.length - position >= SIZE_BYTES) {
      const size = this.checkedSize(stream, position)
      const start = position + SIZE_BYTES
      if (stream.length - start < size) break
      frames.push(stream.subarray(start, start + size))
      position = start + size
    }
    if (position < stream.length) this.hold(stream.subarray(position))
    return frames
  }

  private checkedSize(buffer: Buffer, position: number): number {
    const size = buffer.readInt32BE(position)
    if (size < 0 || size > this.maxFrameBytes) {
      throw new MalformedFrame('frame', `size ${size} is not within 0 and ${this.maxFrameBytes}`)
    }
    return size
  }

  private hold(piece: Buffer): void {
    this.pieces.push(piece)
    this.held += piece.length
  }

  private joinWith(chunk: Buffer): Buffer {
    const whole = Buffer.concat([...this.pieces, chunk], this.held + chunk.length)
    this.pieces = []
    this.held = 0
    return whole
  }
}
