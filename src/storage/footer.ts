import { assert } from '../core/assert.ts'
import { crc32c } from '../core/crc32c.ts'
import { alignUp, blockBytes, footerCost, formatVersion, getInt64, getUint64, putInt64, putUint64 } from './layout.ts'
import type { PartitionSpan } from './partition-span.ts'
import type { Segment } from './segment.ts'
import type { Slot } from './slot-file.ts'

/** 'BKFT' */
const footerMagic = 0x424b4654
export const trailerBytes = 64
const countsBytes = footerCost.fixed - trailerBytes

/**
 * What stands at the end of a sealed slot: its sparse index, found through a trailer in the slot's last 64 bytes. Only a cache: without
 * it the segment is scanned.
 */
export interface FooterTrailer {
  /** Of a cold segment; these have numbers of their own. */
  readonly isCold: boolean
  readonly sequence: number
  readonly salt: bigint
  readonly bodyBytes: number
  readonly bodyCrc: number
  /** Position after the last group. */
  readonly end: number
  readonly lastCrc: number
  readonly lastGroup: number
  readonly logAge: number
  readonly crc: number
}

/**
 * Index and trailer without padding. `withBlocks` false leaves the block indexes out: the summary of a sealed segment in the checkpoint.
 */
export const encodeSegmentIndex = (segment: Segment, logAge: number, withBlocks: boolean): Buffer => {
  const buffer = Buffer.alloc(segment.footerBytes)
  const at = encodeBody(segment, buffer, withBlocks)
  buffer.writeUInt32BE(footerMagic, at)
  buffer.writeUInt16BE(formatVersion, at + 4)
  buffer.writeUInt8(segment.isCold ? 1 : 0, at + 6)
  putUint64(buffer, segment.sequence, at + 8)
  buffer.writeBigUInt64BE(segment.header.salt, at + 16)
  buffer.writeUInt32BE(at, at + 24)
  buffer.writeUInt32BE(crc32c(buffer.subarray(0, at)), at + 28)
  buffer.writeUInt32BE(segment.end, at + 32)
  buffer.writeUInt32BE(segment.lastCrc, at + 36)
  putUint64(buffer, segment.lastGroup, at + 40)
  buffer.writeUInt32BE(logAge, at + 48)
  buffer.writeUInt32BE(crc32c(buffer.subarray(at, at + 60)), at + 60)
  return buffer.subarray(0, at + trailerBytes)
}

/** The footer in whole blocks, to be written so that it ends where the slot ends. */
export const encodeFooter = (segment: Segment, logAge: number): Buffer => {
  const index = encodeSegmentIndex(segment, logAge, true)
  assert(index.length === segment.footerBytes, 'the size of a footer is known beforehand')
  const buffer = Buffer.alloc(alignUp(index.length, blockBytes))
  index.copy(buffer, buffer.length - index.length)
  return buffer
}

const encodeBody = (segment: Segment, buffer: Buffer, withBlocks: boolean): number => {
  buffer.writeUInt32BE(segment.salts.length, 0)
  buffer.writeUInt32BE(segment.spans.size, 4)
  let at: number = countsBytes
  for (let index = 0; index < segment.salts.length; index++, at += footerCost.salt) {
    buffer.writeUInt32BE(segment.saltPositions[index]!, at)
    buffer.writeBigUInt64BE(segment.salts[index]!, at + 4)
  }
  for (const span of segment.allSpans()) at = encodeSpan(span, buffer, at, withBlocks)
  return at
}

const encodeSpan = (span: PartitionSpan, buffer: Buffer, start: number, withBlocks: boolean): number => {
  const blocks = withBlocks ? span.blocks : undefined
  assert(blocks !== undefined || !withBlocks, 'a footer is made from indexes in memory')
  const { epochs } = span
  buffer.writeUInt32BE(span.partition, start)
  putUint64(buffer, span.firstOffset, start + 4)
  putUint64(buffer, span.endOffset, start + 12)
  buffer.writeUInt32BE(span.bytes, start + 20)
  putInt64(buffer, span.maxTimestamp, start + 24)
  buffer.writeUInt32BE(span.firstLogAge, start + 32)
  buffer.writeUInt32BE(span.lastLogAge, start + 36)
  buffer.writeUInt32BE(epochs.length / 2, start + 40)
  buffer.writeUInt32BE(blocks?.count ?? 0, start + 44)
  let at = start + footerCost.span
  for (let index = 0; index < epochs.length; index += 2, at += footerCost.epoch) {
    buffer.writeUInt32BE(epochs[index]!, at)
    putUint64(buffer, epochs[index + 1]!, at + 4)
  }
  if (blocks === undefined) return at
  for (let entry = 0; entry < blocks.count; entry++, at += footerCost.block) {
    putUint64(buffer, blocks.firstOffset(entry), at)
    buffer.writeUInt32BE(blocks.position(entry), at + 8)
    buffer.writeUInt32BE(blocks.bytesBefore(entry), at + 12)
    putInt64(buffer, blocks.maxTimestamp(entry), at + 16)
    buffer.writeUInt32BE(blocks.logAge(entry), at + 24)
  }
  return at
}

/** The trailer in the last 64 bytes of a slot, if it verifies. */
export const decodeTrailer = (bytes: Buffer): FooterTrailer | undefined => {
  if (bytes.length !== trailerBytes || bytes.readUInt32BE(0) !== footerMagic) return undefined
  const crc = bytes.readUInt32BE(60)
  if (crc32c(bytes.subarray(0, 60)) !== crc || bytes.readUInt16BE(4) !== formatVersion) return undefined
  return {
    isCold: bytes.readUInt8(6) === 1,
    sequence: getUint64(bytes, 8),
    salt: bytes.readBigUInt64BE(16),
    bodyBytes: bytes.readUInt32BE(24),
    bodyCrc: bytes.readUInt32BE(28),
    end: bytes.readUInt32BE(32),
    lastCrc: bytes.readUInt32BE(36),
    lastGroup: getUint64(bytes, 40),
    logAge: bytes.readUInt32BE(48),
    crc,
  }
}

/**
 * Reads the segment's footer and takes its content in: everything when the segment knows nothing of itself yet, else only the block indexes.
 * False: there is none that verifies and belongs to this segment.
 */
export const readFooter = async (segment: Segment): Promise<boolean> => {
  const index = await readIndexBytes(segment)
  return index !== undefined && takeSegmentIndex(segment, index)
}

/** The bytes of the footer that belongs to the segment, as its trailer says; the body is not verified. */
export const readIndexBytes = async (segment: Segment): Promise<Buffer | undefined> => {
  const { slotBytes } = segment.header
  const { file } = segment.slot
  const trailer = await readTrailer(segment.slot, slotBytes)
  if (trailer === undefined || !isOf(trailer, segment)) return undefined
  const index = Buffer.alloc(trailer.bodyBytes + trailerBytes)
  const count = await file.read(index, slotBytes - index.length)
  return count === index.length ? index : undefined
}

/** The trailer at the end of a slot, if one stands there; it may be of a former life of the slot. */
export const readTrailer = async (slot: Slot, slotBytes: number): Promise<FooterTrailer | undefined> => {
  if (slot.preparedBytes < slotBytes) return undefined
  const block = Buffer.alloc(trailerBytes)
  if ((await slot.file.read(block, slotBytes - trailerBytes)) !== trailerBytes) return undefined
  const trailer = decodeTrailer(block)
  return trailer === undefined || trailer.bodyBytes > slotBytes - trailerBytes ? undefined : trailer
}

/** Offsets that a segment has, or had, of a partition. */
export interface IndexedOffsets {
  readonly partition: number
  readonly first: number
  /** One past the last one. */
  readonly end: number
}

/** What an index says of offsets, whichever segment it belongs to; empty when it does not verify. */
export const indexedOffsets = (index: Buffer): IndexedOffsets[] => {
  if (verifiedTrailer(index) === undefined) return []
  const body = bodyOf(index)
  const found: IndexedOffsets[] = []
  let at = countsBytes + body.readUInt32BE(0) * footerCost.salt
  for (let left = body.readUInt32BE(4); left > 0; left--) {
    found.push({ partition: body.readUInt32BE(at), first: getUint64(body, at + 4), end: getUint64(body, at + 12) })
    const [epochs, blocks] = [body.readUInt32BE(at + 40), body.readUInt32BE(at + 44)]
    at += footerCost.span + epochs * footerCost.epoch + blocks * footerCost.block
  }
  return found
}

/** The trailer of an index, if it and what stands before it verify. */
export const verifiedTrailer = (index: Buffer): FooterTrailer | undefined => {
  if (index.length < trailerBytes + countsBytes) return undefined
  const trailer = decodeTrailer(index.subarray(index.length - trailerBytes))
  const body = bodyOf(index)
  return trailer?.bodyBytes === body.length && trailer.bodyCrc === crc32c(body) ? trailer : undefined
}

const isOf = (trailer: FooterTrailer, { sequence, isCold, header }: Segment): boolean =>
  trailer.sequence === sequence && trailer.isCold === isCold && trailer.salt === header.salt

const bodyOf = (index: Buffer): Buffer => index.subarray(0, index.length - trailerBytes)

/** Takes what `encodeSegmentIndex` made into the segment. False when it does not verify or belongs to another one. */
export const takeSegmentIndex = (segment: Segment, index: Buffer): boolean => {
  const trailer = verifiedTrailer(index)
  if (trailer === undefined) return false
  if (!isOf(trailer, segment)) return false
  // one that was written before the segment took more groups
  if (segment.isKnown && trailer.lastGroup !== segment.lastGroup) return false
  takeBody(segment, bodyOf(index), trailer)
  return true
}

const takeBody = (segment: Segment, body: Buffer, trailer: FooterTrailer): void => {
  const known = segment.isKnown
  const { spans } = segment
  let at: number = countsBytes
  for (let left = body.readUInt32BE(0); left > 0; left--, at += footerCost.salt) {
    if (!known) segment.addSalt(body.readUInt32BE(at), body.readBigUInt64BE(at + 4))
  }
  spans.release()
  spans.keepBlocks()
  let isSummary = false
  for (let left = body.readUInt32BE(4), index = 0; left > 0; left--, index++) {
    const row = known ? rowOfEntry(segment, body, at, index) : addSpan(segment, body, at)
    // an index without blocks is a summary, unless there is no batch
    if (row !== undefined && body.readUInt32BE(at + 44) === 0 && spans.bytes(row) > 0) isSummary = true
    at = takeLists(segment, row, body, at, known)
  }
  if (isSummary) spans.release()
  if (known) return
  segment.end = trailer.end
  segment.lastGroup = trailer.lastGroup
  segment.lastCrc = trailer.lastCrc
}

const addSpan = ({ spans }: Segment, body: Buffer, at: number): number => {
  const row = spans.add(body.readUInt32BE(at), getUint64(body, at + 4), body.readUInt32BE(at + 32))
  spans.setEndOffset(row, getUint64(body, at + 12))
  spans.setTotals(row, body.readUInt32BE(at + 20), getInt64(body, at + 24), body.readUInt32BE(at + 36))
  return row
}

/** The row of a known segment that the span at this place of its index is: as a rule they are in the same order. */
const rowOfEntry = ({ spans }: Segment, body: Buffer, at: number, index: number): number | undefined => {
  const [partition, firstOffset] = [body.readUInt32BE(at), getUint64(body, at + 4)]
  const isHere = index < spans.size && spans.partition(index) === partition && spans.firstOffset(index) === firstOffset
  return isHere ? index : spans.rowHolding(partition, firstOffset)
}

/** Epochs and blocks of one span; returns where the next one begins. */
const takeLists = (
  { spans }: Segment,
  row: number | undefined,
  body: Buffer,
  start: number,
  known: boolean,
): number => {
  const [epochs, blocks] = [body.readUInt32BE(start + 40), body.readUInt32BE(start + 44)]
  const blocksAt = start + footerCost.span + epochs * footerCost.epoch
  const end = blocksAt + blocks * footerCost.block
  if (row === undefined) return end
  for (let at = start + footerCost.span; !known && at < blocksAt; at += footerCost.epoch) {
    spans.addEpoch(row, body.readUInt32BE(at), getUint64(body, at + 4))
  }
  for (let at = blocksAt; at < end; at += footerCost.block) {
    const [firstOffset, position] = [getUint64(body, at), body.readUInt32BE(at + 8)]
    const [bytesBefore, logAge] = [body.readUInt32BE(at + 12), body.readUInt32BE(at + 24)]
    spans.addBlock(row, firstOffset, position, bytesBefore, getInt64(body, at + 16), logAge)
  }
  return end
}
