/**
 * The header of a record batch of magic 2, read and stamped in place. Functions take the buffer and the position of the
 * batch's first byte. They do not check: batches from outside go through `batchFault` first, after which all hold.
 *
 * Base offset and leader epoch lie outside the CRC, so that a broker can set them without computing it anew.
 */
import { crc32c } from '../../core/crc32c.ts'

export const MAGIC = 2
/** Bytes of the header; the records begin here. */
export const HEADER_BYTES = 61
/** What precedes the bytes that the length field counts. */
export const LENGTH_OVERHEAD_BYTES = 12
export const NO_PRODUCER_ID = -1
export const NO_PRODUCER_EPOCH = -1
export const NO_SEQUENCE = -1

/** Where the header's fields are. */
export const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

/** Bits of the attributes. The lowest three are the compression codec. */
export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20

const TWO_POW_32 = 2 ** 32

/** Whole size in bytes, header included. */
export function byteLengthOf(buffer: Buffer, at = 0): number {
  return LENGTH_OVERHEAD_BYTES + buffer.readInt32BE(at + AT.length)
}

export function baseOffsetOf(buffer: Buffer, at = 0): number {
  return readInt64(buffer, at + AT.baseOffset)
}

export function lastOffsetOf(buffer: Buffer, at = 0): number {
  return baseOffsetOf(buffer, at) + lastOffsetDeltaOf(buffer, at)
}

/** One past the last offset of the batch. */
export function nextOffsetOf(buffer: Buffer, at = 0): number {
  return lastOffsetOf(buffer, at) + 1
}

export function leaderEpochOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + AT.leaderEpoch)
}

function magicOf(buffer: Buffer, at = 0): number {
  return buffer.readInt8(at + AT.magic)
}

function crcOf(buffer: Buffer, at = 0): number {
  return buffer.readUInt32BE(at + AT.crc)
}

export function attributesOf(buffer: Buffer, at = 0): number {
  return buffer.readInt16BE(at + AT.attributes)
}

/** The compression codec, 0 to 7; see compression/codecs.ts. */
export function codecOf(buffer: Buffer, at = 0): number {
  return attributesOf(buffer, at) & CODEC_MASK
}

/** Do the records carry the broker's time (in `maxTimestamp`) in place of their own? */
export function hasLogAppendTime(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & LOG_APPEND_TIME_BIT) !== 0
}

export function isTransactional(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & TRANSACTIONAL_BIT) !== 0
}

export function isControl(buffer: Buffer, at = 0): boolean {
  return (attributesOf(buffer, at) & CONTROL_BIT) !== 0
}

export function lastOffsetDeltaOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + AT.lastOffsetDelta)
}

/** Milliseconds since 1970, or -1. */
export function baseTimestampOf(buffer: Buffer, at = 0): number {
  return readInt64(buffer, at + AT.baseTimestamp)
}

/** Milliseconds since 1970, or -1. */
export function maxTimestampOf(buffer: Buffer, at = 0): number {
  return readInt64(buffer, at + AT.maxTimestamp)
}

export function producerIdOf(buffer: Buffer, at = 0): number {
  return readInt64(buffer, at + AT.producerId)
}

export function producerEpochOf(buffer: Buffer, at = 0): number {
  return buffer.readInt16BE(at + AT.producerEpoch)
}

export function baseSequenceOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + AT.baseSequence)
}

export function recordCountOf(buffer: Buffer, at = 0): number {
  return buffer.readInt32BE(at + AT.recordCount)
}

/** Gives the batch its place in the log. The CRC stays valid. */
export function stamp(buffer: Buffer, baseOffset: number, leaderEpoch: number, at = 0): void {
  writeInt64(buffer, at + AT.baseOffset, baseOffset)
  buffer.writeInt32BE(leaderEpoch, at + AT.leaderEpoch)
}

/** Computes and stores the CRC of a whole batch of `byteLength` bytes; for who changed what it covers. */
export function seal(buffer: Buffer, byteLength = byteLengthOf(buffer), at = 0): void {
  buffer.writeUInt32BE(crc32c(buffer.subarray(at + AT.attributes, at + byteLength)), at + AT.crc)
}

export function hasValidCrc(buffer: Buffer, at = 0): boolean {
  return crc32c(buffer.subarray(at + AT.attributes, at + byteLengthOf(buffer, at))) === crcOf(buffer, at)
}

/** What can be wrong with a batch from outside, in the order in which it is looked for. */
export type BatchFault =
  /** Fewer bytes than a header, or than its length says. */
  | 'truncated'
  /** An older message format, or none. */
  | 'magic'
  /** The CRC does not fit. */
  | 'checksum'
  /** Record count below 1, or not one more than the last offset delta. */
  | 'count'
  /** A 64-bit field beyond 2^53, a negative producer id other than -1. */
  | 'range'

/** Checks the batch at `at`, which must lie before `end`; undefined when it is sound. Records are not looked into. */
export function batchFault(buffer: Buffer, at = 0, end = buffer.length): BatchFault | undefined {
  const structural = frameFault(buffer, at, end)
  if (structural !== undefined) return structural
  if (!hasValidCrc(buffer, at)) return 'checksum'
  const count = recordCountOf(buffer, at)
  if (count < 1 || lastOffsetDeltaOf(buffer, at) !== count - 1) return 'count'
  return hasSafeNumbers(buffer, at) ? undefined : 'range'
}

/** The part of `batchFault` that needs no pass over the bytes: is there a whole batch of magic 2? */
export function frameFault(buffer: Buffer, at = 0, end = buffer.length): 'truncated' | 'magic' | undefined {
  if (end - at <= AT.magic) return 'truncated'
  if (magicOf(buffer, at) !== MAGIC) return 'magic'
  if (end - at < HEADER_BYTES) return 'truncated'
  const byteLength = byteLengthOf(buffer, at)
  return byteLength < HEADER_BYTES || byteLength > end - at ? 'truncated' : undefined
}

function hasSafeNumbers(buffer: Buffer, at: number): boolean {
  const numbers = [baseOffsetOf, baseTimestampOf, maxTimestampOf, producerIdOf].map(read => read(buffer, at))
  return numbers.every(Number.isSafeInteger) && numbers[0]! >= 0 && numbers[3]! >= NO_PRODUCER_ID
}

function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * TWO_POW_32 + buffer.readUInt32BE(at + 4)
}

/** Stores a safe integer as 64 bits. */
export function writeInt64(buffer: Buffer, at: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / TWO_POW_32), at)
  buffer.writeInt32BE((value % TWO_POW_32) | 0, at + 4)
}
