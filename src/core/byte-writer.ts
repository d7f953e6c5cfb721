import { assert } from './assert.ts'
import { writeUnsignedVarint, writeVarint, writeVarlong } from './varint.ts'

const TWO_POW_32 = 2 ** 32
const FIRST_BYTES = 512

/** Payloads below this are copied: cheaper than one more entry in a gathered write. */
export const REFERENCE_FROM_BYTES = 1024

/**
 * Builds big-endian bytes as a list of chunks. Large payloads are referred to, not copied: who hands them in must not
 * change them before the chunks are written out. Values are trusted; ranges are the caller's promise.
 */
export class ByteWriter {
  /** Where the encoder is, for error texts; encoders set it before they write a field. */
  path = ''
  private readonly chunks: Buffer[] = []
  private closedBytes = 0
  private buffer: Buffer
  private start = 0
  private position = 0

  constructor(firstBytes = FIRST_BYTES) {
    this.buffer = Buffer.allocUnsafe(firstBytes)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.closedBytes + this.position - this.start
  }

  int8(value: number): void {
    const at = this.reserve(1)
    this.buffer[at] = value
  }

  int16(value: number): void {
    const at = this.reserve(2)
    this.buffer[at] = value >> 8
    this.buffer[at + 1] = value
  }

  int32(value: number): void {
    this.storeInt32(this.reserve(4), value)
  }

  /** A safe integer as 64 bits. */
  int64(value: number): void {
    const at = this.reserve(8)
    this.storeInt32(at, Math.floor(value / TWO_POW_32))
    this.storeInt32(at + 4, value % TWO_POW_32)
  }

  int64Big(value: bigint): void {
    const at = this.reserve(8)
    this.buffer.writeBigInt64BE(value, at)
  }

  float64(value: number): void {
    const at = this.reserve(8)
    this.buffer.writeDoubleBE(value, at)
  }

  unsignedVarint(value: number): void {
    const at = this.reserve(5)
    this.position = writeUnsignedVarint(this.buffer, at, value)
  }

  varint(value: number): void {
    const at = this.reserve(5)
    this.position = writeVarint(this.buffer, at, value)
  }

  varlong(value: number): void {
    const at = this.reserve(10)
    this.position = writeVarlong(this.buffer, at, value)
  }

  /** UTF-8 text of exactly `byteCount` bytes (`Buffer.byteLength`), without a length. */
  text(value: string, byteCount: number): void {
    const at = this.reserve(byteCount)
    this.buffer.write(value, at, byteCount, 'utf8')
  }

  /** Hex digits as half as many bytes. */
  hex(value: string): void {
    const byteCount = value.length >>> 1
    const at = this.reserve(byteCount)
    const written = this.buffer.write(value, at, byteCount, 'hex')
    assert(written === byteCount, 'hex digits expected')
  }

  /** Raw bytes without a length. Copied when small, referred to when large. */
  bytes(value: Uint8Array): void {
    if (value.length >= REFERENCE_FROM_BYTES) this.reference(value)
    else this.copy(value)
  }

  /** Raw bytes without a length, always copied. */
  copy(value: Uint8Array): void {
    const at = this.reserve(value.length)
    this.buffer.set(value, at)
  }

  /** Stores an int32 over the first four bytes written, the size prefix of a frame. */
  patchFirstInt32(value: number): void {
    const first = this.chunks[0]
    if (first === undefined) this.storeInt32(this.start, value)
    else first.writeInt32BE(value, 0)
  }

  /** The chunks in order. The writer must not be used afterwards. */
  finish(): Buffer[] {
    this.closeChunk()
    return this.chunks
  }

  private reference(value: Uint8Array): void {
    this.closeChunk()
    this.chunks.push(Buffer.from(value.buffer, value.byteOffset, value.length))
    this.closedBytes += value.length
  }

  private closeChunk(): void {
    if (this.position === this.start) return
    this.chunks.push(this.buffer.subarray(this.start, this.position))
    this.closedBytes += this.position - this.start
    this.start = this.position
  }

  private storeInt32(at: number, value: number): void {
    const buffer = this.buffer
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
  }

  /** Makes room and returns where it starts. Look at `buffer` only afterwards: it may be another one. */
  private reserve(byteCount: number): number {
    if (this.position + byteCount > this.buffer.length) this.grow(byteCount)
    const at = this.position
    this.position = at + byteCount
    return at
  }

  private grow(byteCount: number): void {
    const used = this.position - this.start
    const grown = Buffer.allocUnsafe(Math.max(FIRST_BYTES, 2 * (used + byteCount)))
    this.buffer.copy(grown, 0, this.start, this.position)
    this.buffer = grown
    this.start = 0
    this.position = used
  }
}
