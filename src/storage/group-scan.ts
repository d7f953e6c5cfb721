import { byteLengthOf, hasValidCrc } from '../wire/kafka/record-batch.ts'
import {
  frameBatchBytes,
  frameGroupLow,
  frameHeaderBytes,
  frameHeaderIsIntact,
  frameIndex,
  frameMagic,
} from './frame.ts'
import { type GroupHeader, groupFlags, groupHeaderBytes, groupMagic, readGroupHeader } from './group.ts'
import { alignUp, blockBytes, groupAlignBytes, saltSeed } from './layout.ts'
import type { SlotReader } from './slot-reader.ts'

/** How far the chain is believed: the next group has the next number, this CRC as its previous one, and this salt. */
export interface ChainLink {
  readonly group: number
  readonly crc: number
  readonly salt: bigint
}

/** A group that verified to its last byte. */
export interface ScannedGroup {
  readonly header: GroupHeader
  readonly position: number
  /** Header and frames. */
  readonly bytes: Buffer
}

const scanBytes = 256 * 1024
const groupMagicBytes = Buffer.from([
  groupMagic >>> 24,
  (groupMagic >>> 16) & 255,
  (groupMagic >>> 8) & 255,
  groupMagic & 255,
])
const frameMagicBytes = Buffer.from([
  frameMagic >>> 24,
  (frameMagic >>> 16) & 255,
  (frameMagic >>> 8) & 255,
  frameMagic & 255,
])

/** The group that continues the chain behind `end`, or the reason why none stands there. */
export const nextInChain = async (
  reader: SlotReader,
  end: number,
  chain: ChainLink,
): Promise<ScannedGroup | 'torn' | 'none'> => {
  let verdict: 'torn' | 'none' = 'none'
  const places = new Set([alignUp(end, groupAlignBytes), alignUp(end, blockBytes)])
  for (const position of places) {
    const header = readGroupHeader(await reader.bytes(position, groupHeaderBytes), 0)
    if (header === undefined || !continues(header, chain)) continue
    const group = await wholeGroup(reader, position, header)
    if (group !== undefined) return group
    verdict = 'torn'
  }
  return verdict
}

/**
 * Where the copy of the newest group ends that a recovery has written behind it (see `writeAgain`); undefined when there is none.
 */
export const copyOfNewest = async (reader: SlotReader, end: number, chain: ChainLink): Promise<number | undefined> => {
  const position = alignUp(end, blockBytes)
  const header = readGroupHeader(await reader.bytes(position, groupHeaderBytes), 0)
  if (header === undefined || header.number !== chain.group || header.crc !== chain.crc) return undefined
  const copy = await wholeGroup(reader, position, header)
  return copy === undefined ? undefined : position + header.length
}

/** The group continues the chain, wherever it stands. */
export const continues = (header: GroupHeader, chain: ChainLink): boolean =>
  header.number === chain.group + 1 &&
  header.previousCrc === chain.crc &&
  (header.salt === chain.salt || (header.flags & groupFlags.start) !== 0)

/** The group behind a header, if every frame and every batch of it verifies. */
const wholeGroup = async (
  reader: SlotReader,
  position: number,
  header: GroupHeader,
): Promise<ScannedGroup | undefined> => {
  if (position + header.length > reader.length) return undefined
  const bytes = await reader.bytes(position, header.length)
  return bytes.length === header.length && framesAreIntact(bytes, header) ? { header, position, bytes } : undefined
}

const framesAreIntact = (bytes: Buffer, header: GroupHeader): boolean => {
  const seed = saltSeed(header.salt)
  let at = groupHeaderBytes
  for (let index = 0; index < header.frameCount; index++) {
    if (!frameHeaderIsIntact(bytes, at, seed)) return false
    if (frameIndex(bytes, at) !== index || frameGroupLow(bytes, at) !== header.number % 2 ** 32) return false
    if (!batchIsIntact(bytes, at)) return false
    at += frameHeaderBytes + frameBatchBytes(bytes, at)
  }
  return at === header.length
}

/** Whether the batch behind an intact frame header is whole and unchanged. */
export const batchIsIntact = (bytes: Buffer, frameAt: number): boolean => {
  const at = frameAt + frameHeaderBytes
  const length = frameBatchBytes(bytes, frameAt)
  return at + length <= bytes.length && byteLengthOf(bytes, at) === length && hasValidCrc(bytes, at)
}

/**
 * The first whole group of this log at or behind `from` that was written when group `chain.group + 1` was durable: the witness that what
 * stands before it is damage and no torn tail; or that group itself, as the copy that a recovery wrote. Salts are secret and random, so that neither a former life of the slot nor a payload
 * can look like it.
 */
export const findWitness = (
  reader: SlotReader,
  from: number,
  chain: ChainLink,
  salts: ReadonlySet<bigint>,
): Promise<ScannedGroup | undefined> =>
  findGroup(
    reader,
    from,
    header => salts.has(header.salt) && (header.durableThrough > chain.group || continues(header, chain)),
  )

/** The first whole group of this log at or behind `from`, whatever its place in the chain. */
export const findFirstGroup = (
  reader: SlotReader,
  from: number,
  salts: ReadonlySet<bigint>,
): Promise<ScannedGroup | undefined> => findGroup(reader, from, header => salts.has(header.salt))

const findGroup = async (
  reader: SlotReader,
  from: number,
  isWanted: (header: GroupHeader) => boolean,
): Promise<ScannedGroup | undefined> => {
  for (let start = alignUp(from, groupAlignBytes); start < reader.length; start += scanBytes) {
    const bytes = await reader.bytes(start, scanBytes + groupHeaderBytes)
    for (
      let at = bytes.indexOf(groupMagicBytes);
      at >= 0 && at < scanBytes;
      at = bytes.indexOf(groupMagicBytes, at + 1)
    ) {
      if (at % groupAlignBytes !== 0) continue
      const header = readGroupHeader(bytes, at)
      if (header === undefined || !isWanted(header)) continue
      const group = await wholeGroup(reader, start + at, header)
      if (group !== undefined) return group
    }
  }
  return undefined
}

/** Calls `take` for each frame between two positions whose header verifies with the seed; for salvage behind damage. */
export const salvageFrames = async (
  reader: SlotReader,
  from: number,
  to: number,
  seed: number,
  take: (bytes: Buffer, at: number, position: number) => void,
): Promise<void> => {
  const bytes = await reader.bytes(from, to - from)
  let at = bytes.indexOf(frameMagicBytes)
  while (at >= 0) {
    const frameAt = at - 4
    const sound = frameAt >= 0 && frameHeaderIsIntact(bytes, frameAt, seed)
    if (sound) take(bytes, frameAt, from + frameAt)
    const next =
      sound && batchIsIntact(bytes, frameAt) ? frameAt + frameHeaderBytes + frameBatchBytes(bytes, frameAt) : at + 1
    at = bytes.indexOf(frameMagicBytes, next)
  }
}
