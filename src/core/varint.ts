/**
 * Variable-length integers as in Protocol Buffers and Kafka's record format: seven bits a byte, least significant
 * first. Signed ones are zigzag-coded (0, -1, 1, -2 ... become 0, 1, 2, 3 ...).
 *
 * Writers store at `position` and return the position after the last byte; they do not check room. Values are JS
 * numbers: `Varint` takes int32, `UnsignedVarint` 0..2^32-1, `Varlong` any safe integer.
 */

const TWO_POW_27 = 2 ** 27
const TWO_POW_32 = 2 ** 32

/** Bytes that `writeUnsignedVarint` needs for `value` (0..2^32-1): 1 to 5. */
export function unsignedVarintLength(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  return value < 0x10000000 ? 4 : 5
}

/** Stores `value` (0..2^32-1) and returns the position after it. */
export function writeUnsignedVarint(buffer: Uint8Array, position: number, value: number): number {
  let at = position
  let rest = value >>> 0
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

/** Bytes that `writeVarint` needs for the int32 `value`: 1 to 5. */
export function varintLength(value: number): number {
  return unsignedVarintLength(((value << 1) ^ (value >> 31)) >>> 0)
}

/** Stores the int32 `value` zigzag-coded and returns the position after it. */
export function writeVarint(buffer: Uint8Array, position: number, value: number): number {
  return writeUnsignedVarint(buffer, position, (value << 1) ^ (value >> 31))
}

/** Bytes that `writeVarlong` needs for the safe integer `value`: 1 to 8. */
export function varlongLength(value: number): number {
  if (value === (value | 0)) return varintLength(value)
  let rest = Math.floor(zigzagHalf(value) / 64)
  let length = 1
  while (rest > 0) {
    rest = Math.floor(rest / 128)
    length++
  }
  return length
}

/** Stores the safe integer `value` zigzag-coded and returns the position after it. */
export function writeVarlong(buffer: Uint8Array, position: number, value: number): number {
  if (value === (value | 0)) return writeVarint(buffer, position, value)
  const half = zigzagHalf(value)
  let at = position
  let bits = (half % 64) * 2 + (value < 0 ? 1 : 0)
  let rest = Math.floor(half / 64)
  while (rest > 0) {
    buffer[at++] = bits | 0x80
    bits = rest % 128
    rest = Math.floor(rest / 128)
  }
  buffer[at++] = bits
  return at
}

/** The zigzag code without its lowest bit (the sign), which alone always stays a safe integer. */
function zigzagHalf(value: number): number {
  return value < 0 ? -value - 1 : value
}

/**
 * Joins the 28 low and the (up to 36) high bits of a zigzag-coded varlong.
 * Returns NaN when the number lies outside the safe integers.
 */
export function joinVarlong(low28: number, high36: number): number {
  const half = high36 * TWO_POW_27 + (low28 >>> 1)
  if (high36 >= TWO_POW_32 || half > Number.MAX_SAFE_INTEGER) return Number.NaN
  if ((low28 & 1) === 0) return half
  return half === Number.MAX_SAFE_INTEGER ? Number.NaN : -half - 1
}
