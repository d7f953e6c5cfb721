import { baseOffsetOf } from '../wire/kafka/record-batch.ts'
import {
  frameBatchBytes,
  frameGroupLow,
  frameHeaderBytes,
  frameHeaderIsIntact,
  frameLastOffsetDelta,
  framePartition,
} from './frame.ts'
import { type GroupHeader, groupHeaderBytes } from './group.ts'
import { batchIsIntact, salvageFrames } from './group-scan.ts'
import type { Damage } from './inspect-damage.ts'
import { saltSeed } from './layout.ts'
import type { SlotReader } from './slot-reader.ts'

/** A frame that verified, its batch too. */
export interface WalkedFrame {
  /** In the slot. */
  readonly position: number
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** Frame header and batch; the header begins at `at`. */
  readonly bytes: Buffer
  readonly at: number
}

/** What was found in a stretch of a slot: whole frames, and damage between them. Both in the order of positions. */
export interface FoundFrames {
  readonly frames: WalkedFrame[]
  readonly damages: Damage[]
}

/** The Kafka batch in the frame. */
export const batchOfFrame = ({ bytes, at }: WalkedFrame): Buffer =>
  bytes.subarray(at + frameHeaderBytes, at + frameBytes(bytes, at))

const frameBytes = (bytes: Buffer, at: number): number => frameHeaderBytes + frameBatchBytes(bytes, at)

/** The frame whose header stands at `at`, at `position` of its slot. */
export const walkedFrame = (bytes: Buffer, at: number, position: number): WalkedFrame => {
  const firstOffset = baseOffsetOf(bytes, at + frameHeaderBytes)
  const lastOffset = firstOffset + frameLastOffsetDelta(bytes, at)
  return { position, partition: framePartition(bytes, at), firstOffset, lastOffset, bytes, at }
}

/** Takes a frame whose header verified: whole, or damaged in its batch. */
const takeFrame = (found: FoundFrames, slot: number, group: number, frame: WalkedFrame): void => {
  const { bytes, at, position, partition, firstOffset: first, lastOffset: last } = frame
  if (batchIsIntact(bytes, at)) found.frames.push(frame)
  else {
    const length = frameBytes(bytes, at)
    found.damages.push({ slot, position, bytes: length, cause: 'batch', group, partition, first, last })
  }
}

/** The frames of a group that verified as a whole. */
export const framesOfGroup = (bytes: Buffer, position: number, header: GroupHeader): WalkedFrame[] => {
  const frames: WalkedFrame[] = []
  let at = groupHeaderBytes
  for (let left = header.frameCount; left > 0; left--) {
    frames.push(walkedFrame(bytes, at, position + at))
    at += frameBytes(bytes, at)
  }
  return frames
}

/** Looks at each frame of a group whose header verifies and that is damaged behind it. */
export const framesOfDamagedGroup = (
  slot: number,
  bytes: Buffer,
  position: number,
  header: GroupHeader,
): FoundFrames => {
  const found: FoundFrames = { frames: [], damages: [] }
  const seed = saltSeed(header.salt)
  const isFrame = (at: number): boolean =>
    frameHeaderIsIntact(bytes, at, seed) &&
    frameGroupLow(bytes, at) === header.number % 2 ** 32 &&
    at + frameBytes(bytes, at) <= header.length
  let at = groupHeaderBytes
  while (at < header.length) {
    if (isFrame(at)) {
      takeFrame(found, slot, header.number, walkedFrame(bytes, at, position + at))
      at += frameBytes(bytes, at)
      continue
    }
    const start = at
    while (at < header.length && !isFrame(at)) at++
    const cause = 'frameHeader'
    found.damages.push({ slot, position: position + start, bytes: at - start, cause, group: header.number })
  }
  return found
}

/** A stretch in which group headers are damaged, and the groups that it may hold. */
export interface DamagedStretch {
  readonly slot: number
  readonly from: number
  readonly to: number
  readonly firstGroup: number
  readonly endGroup: number
  /** The salts with which frames in it may have been written. */
  readonly salts: readonly bigint[]
  /** `to` is where the next group or the end of the segment stands; else it is the end of what can be read. */
  readonly toIsKnown: boolean
}

/** Finds what verifies in the stretch; what lies between is damage. */
export const framesOfStretch = async (reader: SlotReader, stretch: DamagedStretch): Promise<FoundFrames> => {
  const { slot, from, to, firstGroup, endGroup } = stretch
  const found: FoundFrames = { frames: [], damages: [] }
  const intact: { frame: WalkedFrame; group: number }[] = []
  for (const salt of new Set(stretch.salts)) {
    await salvageFrames(reader, from, to, saltSeed(salt), (bytes, at, position) => {
      const group = firstGroup + ((frameGroupLow(bytes, at) - (firstGroup % 2 ** 32) + 2 ** 32) % 2 ** 32)
      if (group < endGroup) intact.push({ frame: walkedFrame(bytes, at, position), group })
    })
  }
  intact.sort((one, other) => one.frame.position - other.frame.position)
  let end = from
  for (const { frame, group } of intact) {
    const { position, bytes, at } = frame
    if (position > end) damagedHeaders(found, slot, end, position, end === from ? firstGroup : undefined)
    takeFrame(found, slot, group, frame)
    end = Math.max(end, position + frameBytes(bytes, at))
  }
  const rest = stretch.toIsKnown || intact.length === 0 ? await reader.bytes(end, to - end) : Buffer.alloc(0)
  const restBytes = intact.length === 0 ? to - end : lengthWithoutZeros(rest)
  if (restBytes > 0) damagedHeaders(found, slot, end, end + restBytes, end === from ? firstGroup : undefined)
  found.damages.sort((one, other) => one.position - other.position)
  return found
}

const damagedHeaders = (found: FoundFrames, slot: number, from: number, to: number, group?: number): void => {
  const damage = { slot, position: from, bytes: to - from } as const
  if (group === undefined) found.damages.push({ ...damage, cause: 'frameHeader' })
  else found.damages.push({ ...damage, cause: 'groupHeader', group })
}

/** Bytes up to the last one that is not zero. */
export const lengthWithoutZeros = (bytes: Buffer): number => {
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === 0) length--
  return length
}
