import { crc32c } from '../core/crc32c.ts'
import { AT, HEADER_BYTES, lastOffsetDeltaOf } from '../wire/kafka/record-batch.ts'

export const frameHeaderBytes = 32
/** Kafka's CRC covers a batch from here; the frame's CRC covers what stands before. */
const batchCrcStart = AT.attributes
/** What must be at hand to verify a frame header. */
export const frameProbeBytes = frameHeaderBytes + batchCrcStart
/** 'BKFR' */
export const frameMagic = 0x424b4652

/**
 * A frame: 32 bytes of header, then one Kafka v2 batch. Fields by their place, so that walking frames makes no objects.
 * The CRC stands first and covers the rest of the header and the batch's first 21 bytes in one run; it starts from the salt.
 */
export const frameIsHere = (buffer: Buffer, at: number): boolean => buffer.readUInt32BE(at + 4) === frameMagic
/** The low 32 bits of the group's number; in a cold segment see `frameCompactedAt`. */
export const frameGroupLow = (buffer: Buffer, at: number): number => buffer.readUInt32BE(at + 8)
/** In a cold segment: log age at which compaction first went through the batch and left it in, 0 when it has not. */
export const frameCompactedAt = frameGroupLow
export const frameIndex = (buffer: Buffer, at: number): number => buffer.readUInt16BE(at + 12)
export const framePartition = (buffer: Buffer, at: number): number => buffer.readUInt32BE(at + 16)
/** Bytes of the batch. */
export const frameBatchBytes = (buffer: Buffer, at: number): number => buffer.readUInt32BE(at + 20)
/** Last offset of the batch less its base offset, repeated here so that a damaged batch still says which offsets it had. */
export const frameLastOffsetDelta = (buffer: Buffer, at: number): number => buffer.readUInt32BE(at + 24)
/** Log age in seconds when the batch was appended. */
export const frameLogAge = (buffer: Buffer, at: number): number => buffer.readUInt32BE(at + 28)

/** Frames that a group may hold: the index has 16 bits. */
export const maxFrames = 0xffff

/** Writes the header before the batch that stands, stamped, at `at + 32`. */
export const writeFrameHeader = (
  buffer: Buffer,
  at: number,
  seed: number,
  group: number,
  index: number,
  partition: number,
  length: number,
  logAge: number,
): void => {
  buffer.writeUInt32BE(frameMagic, at + 4)
  buffer.writeUInt32BE(group % 0x100000000, at + 8)
  buffer.writeUInt16BE(index, at + 12)
  buffer.writeUInt16BE(0, at + 14)
  buffer.writeUInt32BE(partition, at + 16)
  buffer.writeUInt32BE(length, at + 20)
  buffer.writeUInt32BE(lastOffsetDeltaOf(buffer, at + frameHeaderBytes), at + 24)
  buffer.writeUInt32BE(logAge, at + 28)
  buffer.writeUInt32BE(crc32c(buffer.subarray(at + 4, at + frameProbeBytes), seed), at)
}

/** Whether a frame header of the start with this seed stands here, whole in `buffer` up to the batch's first 21 bytes. */
export const frameHeaderIsIntact = (buffer: Buffer, at: number, seed: number): boolean =>
  at + frameProbeBytes <= buffer.length &&
  frameIsHere(buffer, at) &&
  frameBatchBytes(buffer, at) >= HEADER_BYTES &&
  crc32c(buffer.subarray(at + 4, at + frameProbeBytes), seed) === buffer.readUInt32BE(at)
