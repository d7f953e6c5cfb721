/** Variable byte integers (MQTT 5 section 1.5.5): seven bits a byte, the lowest first; 0 to 268,435,455 in 1 to 4 bytes. */

export function variableByteIntegerLength(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  return value < 0x200000 ? 3 : 4
}

/** Returns the position after it. Does not check room. */
export function writeVariableByteInteger(bytes: Uint8Array, position: number, value: number): number {
  let at = position
  let left = value
  while (left > 0x7f) {
    bytes[at++] = (left & 0x7f) | 0x80
    left >>>= 7
  }
  bytes[at++] = left
  return at
}

export function encodeVariableByteInteger(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(variableByteIntegerLength(value))
  writeVariableByteInteger(bytes, 0, value)
  return bytes
}
