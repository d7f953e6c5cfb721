import { MalformedFrame } from './malformed-frame.ts'
import { joinVarlong } from './varint.ts'

const TWO_POW_32 = 2 ** 32

/** Array elements that one message may hold in all; bounds what a small hostile frame can make us allocate. */
export const MAX_ELEMENTS = 1_000_000

/**
 * Reads big-endian values from a buffer that is not trusted: each read is checked against the bytes that remain, and
 * anything wrong throws `MalformedFrame`. Slices refer to the buffer, they are no copies.
 */
export class ByteReader {
  /** Where the decoder is, for the error text; decoders set it before they read a field. */
  path: string
  position: number
  /** Exclusive. A decoder may narrow it for a nested part, and must set it back. */
  end: number
  private readonly buffer: Buffer
  private elementsLeft = MAX_ELEMENTS

  constructor(buffer: Buffer, path: string, position = 0, end = buffer.length) {
    this.buffer = buffer
    this.path = path
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  fail(reason: string): never {
    throw new MalformedFrame(this.path, `${reason} at byte ${this.position}`)
  }

  /** Moves over `byteCount` bytes and returns where they start. */
  take(byteCount: number): number {
    const start = this.position
    if (byteCount > this.end - start) this.fail(`${byteCount} bytes wanted, ${this.end - start} left`)
    this.position = start + byteCount
    return start
  }

  /** To be called before room for `count` elements of at least `minBytes` each is allocated. */
  claimElements(count: number, minBytes: number): void {
    if (count * minBytes > this.end - this.position) this.fail(`${count} elements cannot fit in the frame`)
    this.elementsLeft -= count
    if (this.elementsLeft < 0) this.fail(`more than ${MAX_ELEMENTS} elements`)
  }

  int8(): number {
    return (this.buffer[this.take(1)]! << 24) >> 24
  }

  uint8(): number {
    return this.buffer[this.take(1)]!
  }

  int16(): number {
    const at = this.take(2)
    return (((this.buffer[at]! << 8) | this.buffer[at + 1]!) << 16) >> 16
  }

  uint16(): number {
    const at = this.take(2)
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!
  }

  int32(): number {
    const at = this.take(4)
    const buffer = this.buffer
    return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  /** A 64-bit integer as a number; refused as malformed outside the safe integers (+-2^53-1). */
  int64(): number {
    const high = this.int32()
    const value = high * TWO_POW_32 + (this.int32() >>> 0)
    if (!Number.isSafeInteger(value)) this.fail('64-bit integer beyond 2^53')
    return value
  }

  int64Big(): bigint {
    return this.buffer.readBigInt64BE(this.take(8))
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.take(8))
  }

  /** An unsigned varint of at most 32 bits. */
  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.take(1)]!
      if (shift === 28 && byte > 0x0f) break
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    return this.fail('varint longer than 32 bits')
  }

  /** A zigzag-coded int32. */
  varint(): number {
    const code = this.unsignedVarint()
    return (code >>> 1) ^ -(code & 1)
  }

  /** A zigzag-coded 64-bit integer as a number; refused as malformed outside the safe integers. */
  varlong(): number {
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.buffer[this.take(1)]!
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1)
    }
    let high = 0
    for (let factor = 1; factor <= 2 ** 35; factor *= 128) {
      const byte = this.buffer[this.take(1)]!
      high += (byte & 0x7f) * factor
      if (byte >= 0x80) continue
      const value = joinVarlong(low, high)
      return Number.isNaN(value) ? this.fail('64-bit integer beyond 2^53') : value
    }
    return this.fail('varint longer than 64 bits')
  }

  /** The next `byteCount` bytes, referring to the frame. */
  slice(byteCount: number): Buffer {
    const start = this.take(byteCount)
    return this.buffer.subarray(start, start + byteCount)
  }

  /** The next `byteCount` bytes as text; ill-formed UTF-8 becomes U+FFFD, as in Kafka. */
  text(byteCount: number): string {
    const start = this.take(byteCount)
    return this.buffer.toString('utf8', start, start + byteCount)
  }

  /** The next `byteCount` bytes as lower-case hex. */
  hex(byteCount: number): string {
    const start = this.take(byteCount)
    return this.buffer.toString('hex', start, start + byteCount)
  }
}
