import { ByteReader } from '../../../core/byte-reader.ts'

const FRAME_MAGIC = 0x184d2204
const VERSION = 1
const BLOCK_CHECKSUM_BIT = 0x10
const CONTENT_SIZE_BIT = 0x08
const CONTENT_CHECKSUM_BIT = 0x04
const DICTIONARY_BIT = 0x01
const UNCOMPRESSED_BIT = 0x80000000
const LEAST_MATCH_BYTES = 4

/**
 * How many bytes an LZ4 frame yields, counted from its blocks' tokens without decompressing and without believing the
 * size that its header may state. Throws MalformedFrame where the bytes are no frame, or as soon as `maxBytes` is passed.
 */
export function lz4ContentBytes(frame: Buffer, maxBytes: number): number {
  const reader = new ByteReader(frame, 'compression.lz4')
  const flags = readFrameHeader(reader)
  let total = 0
  for (let size = littleEndian32(reader); size !== 0; size = littleEndian32(reader)) {
    const byteCount = size & 0x7fffffff
    if (byteCount > reader.remaining) reader.fail(`block of ${byteCount} bytes`)
    const isPlain = (size & UNCOMPRESSED_BIT) !== 0
    const start = reader.take(byteCount)
    total += isPlain ? byteCount : blockContentBytes(frame, start, start + byteCount)
    if (total > maxBytes) reader.fail(`more than ${maxBytes} bytes`)
    if ((flags & BLOCK_CHECKSUM_BIT) !== 0) reader.take(4)
  }
  if ((flags & CONTENT_CHECKSUM_BIT) !== 0) reader.take(4)
  if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes left over`)
  return total
}

/** Returns the flag byte. */
function readFrameHeader(reader: ByteReader): number {
  if (littleEndian32(reader) !== FRAME_MAGIC) reader.fail('no LZ4 frame')
  const flags = reader.uint8()
  if (flags >> 6 !== VERSION) reader.fail('LZ4 frame of an unknown version')
  if ((flags & DICTIONARY_BIT) !== 0) reader.fail('LZ4 frame with a dictionary')
  reader.take(1)
  if ((flags & CONTENT_SIZE_BIT) !== 0) reader.take(8)
  reader.take(1)
  return flags
}

/** Sums the literal and match lengths of a block: token, literals, offset, over and over. */
function blockContentBytes(frame: Buffer, start: number, end: number): number {
  const block = new ByteReader(frame, 'compression.lz4', start, end)
  let total = 0
  while (block.remaining > 0) {
    const token = block.uint8()
    const literals = (token >> 4) + (token >> 4 === 15 ? lengthTail(block) : 0)
    block.take(literals)
    total += literals
    if (block.remaining === 0) break
    block.take(2)
    total += LEAST_MATCH_BYTES + (token & 15) + ((token & 15) === 15 ? lengthTail(block) : 0)
  }
  return total
}

/** Lengths of 15 and more go on in bytes until one is below 255. */
function lengthTail(block: ByteReader): number {
  let total = 0
  let byte: number
  do {
    byte = block.uint8()
    total += byte
  } while (byte === 255)
  return total
}

function littleEndian32(reader: ByteReader): number {
  const low = reader.uint8() | (reader.uint8() << 8)
  return (low | (reader.uint8() << 16) | (reader.uint8() << 24)) >>> 0
}
