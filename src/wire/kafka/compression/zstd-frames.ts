import { ByteReader } from '../../../core/byte-reader.ts'

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const SINGLE_SEGMENT_BIT = 0x20
const CHECKSUM_BIT = 0x04
const DICTIONARY_MASK = 0x03
const MOST_BLOCK_BYTES = 128 * 1024
const RAW_BLOCK = 0
const RLE_BLOCK = 1
const COMPRESSED_BLOCK = 2

export interface ZstdFrame {
  readonly bytes: Buffer
  /** What the header states, if it does; a decompressor keeps to it. */
  readonly contentBytes: number | undefined
  /** The most that the blocks can yield. */
  readonly mostBlockBytes: number
}

/** Cuts zstd data (RFC 8878) into its frames, without decompressing. Throws MalformedFrame where it is no zstd data. */
export function zstdFrames(bytes: Buffer): ZstdFrame[] {
  const reader = new ByteReader(bytes, 'compression.zstd')
  const frames: ZstdFrame[] = []
  while (reader.remaining > 0) {
    const start = reader.position
    const magic = littleEndian(reader, 4)
    if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) {
      reader.take(littleEndian(reader, 4))
      continue
    }
    if (magic !== FRAME_MAGIC) reader.fail('no zstd frame')
    const sizes = walkFrame(reader)
    frames.push({ bytes: bytes.subarray(start, reader.position), ...sizes })
  }
  return frames
}

function walkFrame(reader: ByteReader): Omit<ZstdFrame, 'bytes'> {
  const descriptor = reader.uint8()
  const isSingleSegment = (descriptor & SINGLE_SEGMENT_BIT) !== 0
  if (!isSingleSegment) reader.take(1)
  reader.take([0, 1, 2, 4][descriptor & DICTIONARY_MASK]!)
  const contentBytes = readContentSize(reader, descriptor >> 6, isSingleSegment)
  const mostBlockBytes = walkBlocks(reader)
  if ((descriptor & CHECKSUM_BIT) !== 0) reader.take(4)
  return { contentBytes, mostBlockBytes }
}

/** RFC 8878, 3.1.1.1.4: a field of 0, 1, 2, 4 or 8 bytes. */
function readContentSize(reader: ByteReader, sizeCode: number, isSingleSegment: boolean): number | undefined {
  if (sizeCode === 0) return isSingleSegment ? reader.uint8() : undefined
  if (sizeCode === 1) return littleEndian(reader, 2) + 256
  return littleEndian(reader, sizeCode === 2 ? 4 : 8)
}

/** Moves over the blocks; returns the most bytes that they can yield. */
function walkBlocks(reader: ByteReader): number {
  let most = 0
  for (let isLast = false; !isLast; ) {
    const header = littleEndian(reader, 3)
    isLast = (header & 1) === 1
    const type = (header >> 1) & 3
    const size = header >> 3
    if (type > COMPRESSED_BLOCK || size > MOST_BLOCK_BYTES) reader.fail('no zstd block')
    reader.take(type === RLE_BLOCK ? 1 : size)
    most += type === RAW_BLOCK || type === RLE_BLOCK ? size : MOST_BLOCK_BYTES
  }
  return most
}

/** Up to 8 bytes; beyond 2^53 inexact, which only makes a number that is refused. */
function littleEndian(reader: ByteReader, byteCount: number): number {
  let value = 0
  for (let index = 0; index < byteCount; index++) value += reader.uint8() * 256 ** index
  return value
}
