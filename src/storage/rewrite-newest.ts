import { assert } from '../core/assert.ts'
import type { Logger } from '../platform/logger.ts'
import { readGroupHeader } from './group.ts'
import { alignDown, alignUp, blockBytes, firstGroupPosition, groupAlignBytes } from './layout.ts'
import { isDeviceError } from './salvaging-file.ts'
import type { Segment } from './segment.ts'
import { encodeSlotHeader } from './slot.ts'
import { markFree, type Slot } from './slot-file.ts'

/** Where a group stands that may be in the page cache alone. */
export interface NewestGroup {
  readonly segment: Segment
  /** From here up to `position` may stand what is left of a torn original, of which this is the copy. */
  readonly tornFrom: number
  readonly position: number
  readonly number: number
  readonly length: number
}

/** `risky`: nothing was written again, because in its slot that could cost it; `refused`: the slot cannot be written. Then it goes to another. */
export type Rewritten = 'done' | 'risky' | 'refused'

/**
 * Writes the newest groups again, those that no later one says to be on the device: after kill -9 or a failed sync their bytes may stand in
 * the page cache alone. In place, the slot header too when they stand right behind it, and zeros up to the end of the last block, where a
 * cut group may stand. With `always` a write may damage what it touches: then a copy goes behind the group first, as far as the slot has room and
 * it has blocks of its own. A device that refuses leaves the segment sealed.
 */
export const writeNewestAgain = async (
  last: Segment,
  groups: readonly NewestGroup[],
  align: 'auto' | 'always',
  logger: Logger,
): Promise<Rewritten> => {
  const [first] = groups
  try {
    // several are from before `always` was set
    if (align === 'always' && groups.length <= 1) {
      // blocks are not shared: what was known to be durable before needs nothing
      return first === undefined || (await copyBehind(last, first)) ? 'done' : 'risky'
    }
    await writeInPlace(last, first)
    return 'done'
  } catch (error) {
    logger.error(
      { slot: last.slot.path, error: String(error) },
      'the newest groups cannot be written again in their slot',
    )
    if (isDeviceError(error)) last.slot.turnBad()
    last.sealed = true
    // without a group to be saved the end of the segment is enough
    return first === undefined ? 'done' : 'refused'
  }
}

/** From `first` to the end, with the rest of the last block; without a group that block alone. */
export const writeInPlace = async ({ end, slot }: Segment, first: NewestGroup | undefined): Promise<void> => {
  const start = first?.position ?? end
  const from = start === firstGroupPosition ? 0 : alignDown(start, blockBytes)
  const bytes = Buffer.alloc(alignUp(end, blockBytes) - from)
  if (bytes.length === 0) return
  const count = await slot.file.read(bytes.subarray(0, end - from), from)
  assert(count === end - from, 'the newest groups can be read again')
  await slot.file.write(bytes, from)
  await slot.file.sync()
}

/**
 * Also in its old place, where the index has it, once the copy is safe: else readers would meet there what the slot held before. Zeros go over
 * the remains of a torn original, so that no reader takes some of its batches and misses the others. False when there is no room for a copy
 * before the footer, or when its slot header would have to be written again too.
 */
const copyBehind = async (segment: Segment, group: NewestGroup): Promise<boolean> => {
  const { slot, header, footerBytes } = segment
  if (group.position === firstGroupPosition || group.position % blockBytes > 0) return false
  const target = alignUp(group.position + group.length, blockBytes)
  const bytes = Buffer.alloc(alignUp(group.length, blockBytes))
  const room = Math.min(slot.preparedBytes, header.slotBytes - alignUp(footerBytes, blockBytes))
  if (target + bytes.length > room) return false
  await readGroup(group, bytes)
  await slot.file.write(bytes, target)
  await slot.file.sync()
  const tornFrom = alignUp(group.tornFrom, blockBytes)
  await slot.file.write(Buffer.concat([Buffer.alloc(group.position - tornFrom), bytes]), tornFrom)
  await slot.file.sync()
  segment.end = target + group.length
  return true
}

/**
 * Begins the next segment, in the first of these slots that can be written, with copies of the newest groups. Recovery finds them there
 * and passes over those that are left behind. False when no slot takes them.
 */
export const writeNewestElsewhere = async (
  groups: readonly NewestGroup[],
  slots: AsyncIterable<Slot>,
  logger: Logger,
): Promise<boolean> => {
  const { header } = groups[0]!.segment
  const bytes = Buffer.alloc(movedBytes(groups) - firstGroupPosition)
  let at = 0
  for (const group of groups) {
    await readGroup(group, bytes.subarray(at))
    at += alignUp(group.length, groupAlignBytes)
  }
  const groupHeader = readGroupHeader(bytes, 0)
  assert(groupHeader !== undefined, 'the newest groups can be read again')
  const { number: firstGroup, previousCrc, salt, logEpoch } = groupHeader
  const sequence = header.sequence + 1
  const slotHeader = encodeSlotHeader({ ...header, sequence, firstGroup, previousCrc, salt, logEpoch })
  for await (const slot of slots) {
    try {
      // half of the copies must not hide the others in their old place: there is no segment before all of them are safe
      await markFree(slot, header.logId, header.slotBytes)
      await slot.file.write(bytes, firstGroupPosition)
      await slot.file.sync()
      await slot.file.write(slotHeader, 0)
      await slot.file.sync()
      return true
    } catch (error) {
      logger.error({ slot: slot.path, error: String(error) }, 'a slot cannot be written')
    }
  }
  return false
}

/** Bytes of a slot that begins with the groups. */
export const movedBytes = (groups: readonly NewestGroup[]): number => {
  const bytes = groups.reduce((sum, { length }) => sum + alignUp(length, groupAlignBytes), firstGroupPosition)
  return alignUp(bytes, blockBytes)
}

const readGroup = async ({ segment, position, length }: NewestGroup, target: Buffer): Promise<void> => {
  const count = await segment.slot.file.read(target.subarray(0, length), position)
  assert(count === length, 'the newest groups can be read again')
}
