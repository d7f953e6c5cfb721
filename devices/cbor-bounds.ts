/**
 * Walks the heads of one CBOR item (RFC 8949, section 3) before a decoder may believe its lengths. True when the item is
 * complete, fills the bytes exactly, is nested at most `maxDepth` deep, and uses nothing that a device payload needs not:
 * no tags, no indefinite lengths. A decoder then allocates no more than the bytes that are really there.
 */
export const isBoundedCbor = (bytes: Uint8Array, maxDepth: number): boolean =>
  endOfItem(bytes, 0, maxDepth) === bytes.length

const malformed = -1

/** Position after the item that begins at `position`, or -1. */
const endOfItem = (bytes: Uint8Array, position: number, depth: number): number => {
  const first = bytes[position]
  if (first === undefined) return malformed
  const major = first >> 5
  const additional = first & 31
  if (additional > 27 || major === 6) return malformed
  const argumentBytes = additional < 24 ? 0 : 1 << (additional - 24)
  const afterHead = position + 1 + argumentBytes
  if (afterHead > bytes.length) return malformed
  if (major === 0 || major === 1 || major === 7) return afterHead
  const length = argumentBytes === 0 ? additional : bigEndian(bytes, position + 1, argumentBytes)
  // every entry takes a byte at least, so a count beyond the bytes left is a lie
  if (length > bytes.length - afterHead) return malformed
  if (major === 2 || major === 3) return afterHead + length
  return depth === 0 ? malformed : endOfItems(bytes, afterHead, major === 5 ? length * 2 : length, depth - 1)
}

const endOfItems = (bytes: Uint8Array, position: number, count: number, depth: number): number => {
  let end = position
  for (let index = 0; index < count && end !== malformed; index++) end = endOfItem(bytes, end, depth)
  return end
}

const bigEndian = (bytes: Uint8Array, position: number, length: number): number => {
  let value = 0
  for (let index = 0; index < length; index++) value = value * 256 + (bytes[position + index] ?? 0)
  return value
}
