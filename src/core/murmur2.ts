const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/** Murmur2 of `bytes[start, end)` as Kafka's Java client computes it: an int32. */
export function murmur2(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = SEED ^ (end - start)
  let at = start
  for (; at + 4 <= end; at += 4) {
    let block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    block = Math.imul(block, MULTIPLIER)
    block = Math.imul(block ^ (block >>> 24), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ block
  }
  if (at < end) hash = Math.imul(hash ^ tail(bytes, at, end), MULTIPLIER)
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/** The one to three bytes after the last whole block. */
function tail(bytes: Uint8Array, at: number, end: number): number {
  let block = bytes[at]!
  if (at + 1 < end) block |= bytes[at + 1]! << 8
  if (at + 2 < end) block |= bytes[at + 2]! << 16
  return block
}

/** The partition that Kafka's default partitioner chooses for a record key. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}
