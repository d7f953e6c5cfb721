import { ByteReader } from '../../../core/byte-reader.ts'
import { MalformedFrame } from '../../../core/malformed-frame.ts'
import type { Codec } from './codec.ts'

/**
 * Snappy as Kafka uses it: Java clients frame raw snappy blocks the way of the xerial library (magic, two versions,
 * then int32-sized blocks); librdkafka and others also send one raw block. Both are read, xerial is written.
 */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16
const XERIAL_VERSION = 1
const XERIAL_BLOCK_BYTES = 32 * 1024

type Snappy = typeof import('snappy')

// loaded at first use: a native library costs memory from its load on
const library = (): Promise<Snappy> => import('snappy')

export const snappy: Codec = {
  compress: async bytes => {
    const { compressSync } = await library()
    const header = Buffer.alloc(XERIAL_HEADER_BYTES)
    XERIAL_MAGIC.copy(header)
    header.writeInt32BE(XERIAL_VERSION, 8)
    header.writeInt32BE(XERIAL_VERSION, 12)
    const parts: Buffer[] = [header]
    for (let start = 0; start < bytes.length; start += XERIAL_BLOCK_BYTES) {
      const block = compressSync(bytes.subarray(start, start + XERIAL_BLOCK_BYTES))
      const size = Buffer.alloc(4)
      size.writeInt32BE(block.length)
      parts.push(size, block)
    }
    return Buffer.concat(parts)
  },

  decompress: async (bytes, maxBytes) => {
    const { uncompressSync } = await library()
    const isXerial = bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)
    return isXerial
      ? uncompressXerial(bytes, maxBytes, uncompressSync)
      : uncompressBlock(bytes, maxBytes, uncompressSync)
  },
}

function uncompressXerial(bytes: Buffer, maxBytes: number, uncompressSync: Snappy['uncompressSync']): Buffer {
  const reader = new ByteReader(bytes, 'compression.snappy')
  reader.take(XERIAL_HEADER_BYTES)
  const blocks: Buffer[] = []
  let room = maxBytes
  while (reader.remaining > 0) {
    const block = uncompressBlock(reader.slice(reader.uint32()), room, uncompressSync)
    room -= block.length
    blocks.push(block)
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
}

/** A raw block says first what comes out of it; the library keeps to that. */
function uncompressBlock(block: Buffer, maxBytes: number, uncompressSync: Snappy['uncompressSync']): Buffer {
  const byteCount = new ByteReader(block, 'compression.snappy').unsignedVarint()
  if (byteCount > maxBytes) throw new MalformedFrame('compression.snappy', `more than ${maxBytes} bytes`)
  return uncompressSync(block, { asBuffer: true }) as Buffer
}
