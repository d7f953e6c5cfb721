import { assert } from '../core/assert.ts'
import type { Logger } from '../platform/logger.ts'
import { readGroupHeader } from './group.ts'
import { alignDown, alignUp, blockBytes, firstGroupPosition } from './layout.ts'
import type { Segment } from './segment.ts'
import { encodeSlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'

/** Where the newest group stands. */
export interface NewestGroup {
  readonly segment: Segment
  readonly position: number
  readonly length: number
}

/** `risky`: it was not written again, because in its slot that could cost it; `refused`: its slot cannot be written. Then it goes to another. */
export type Rewritten = 'done' | 'risky' | 'refused'

/**
 * Writes the newest group again: after kill -9 or a failed sync its bytes may stand in the page cache alone. In place, its slot header
 * too when it stands right behind it, and zeros up to the end of its last block, where a cut group may stand. With `always` a write may
 * damage what it touches: then a copy goes behind the group, as far as the slot has room. A device that refuses leaves the segment sealed.
 */
export const writeNewestAgain = async (
  last: Segment,
  newest: NewestGroup | undefined,
  align: 'auto' | 'always',
  logger: Logger,
): Promise<Rewritten> => {
  const group = newest?.segment === last ? newest : undefined
  try {
    if (align === 'always') {
      // blocks are not shared: what was known to be durable before needs nothing
      if (group === undefined || (await copyBehind(last, group))) return 'done'
      return 'risky'
    }
    await writeInPlace(last, group)
    return 'done'
  } catch (error) {
    logger.error({ slot: last.slot.path, error: String(error) }, 'the newest group cannot be written again in its slot')
    last.sealed = true
    // without a group to be saved the end of the segment is enough
    return group === undefined ? 'done' : 'refused'
  }
}

/** The group with the rest of its last block, or without one that block alone. */
export const writeInPlace = async ({ end, slot }: Segment, group: NewestGroup | undefined): Promise<void> => {
  const start = group?.position ?? end
  const from = start === firstGroupPosition ? 0 : alignDown(start, blockBytes)
  const bytes = Buffer.alloc(alignUp(end, blockBytes) - from)
  if (bytes.length === 0) return
  const count = await slot.file.read(bytes.subarray(0, end - from), from)
  assert(count === end - from, 'the newest group can be read again')
  await slot.file.write(bytes, from)
  await slot.file.sync()
}

/** False when there is no room for it before the footer, or when its slot header would have to be written again too. */
const copyBehind = async (segment: Segment, group: NewestGroup): Promise<boolean> => {
  const { slot, header, footerBytes } = segment
  if (group.position === firstGroupPosition) return false
  const target = alignUp(group.position + group.length, blockBytes)
  const bytes = Buffer.alloc(alignUp(group.length, blockBytes))
  const room = Math.min(slot.preparedBytes, header.slotBytes - alignUp(footerBytes, blockBytes))
  if (target + bytes.length > room) return false
  await readGroup(group, bytes)
  await slot.file.write(bytes, target)
  await slot.file.sync()
  segment.end = target + group.length
  return true
}

/**
 * Begins the next segment, in the first of these slots that can be written, with a copy of the newest group. Recovery finds the group there
 * and passes over the one that is left behind. False when no slot takes it.
 */
export const writeNewestElsewhere = async (
  group: NewestGroup,
  slots: AsyncIterable<Slot>,
  logger: Logger,
): Promise<boolean> => {
  const { header } = group.segment
  const bytes = Buffer.alloc(movedBytes(group))
  await readGroup(group, bytes.subarray(firstGroupPosition))
  const groupHeader = readGroupHeader(bytes, firstGroupPosition)
  assert(groupHeader !== undefined, 'the newest group can be read again')
  const { number: firstGroup, previousCrc, salt, logEpoch } = groupHeader
  encodeSlotHeader({ ...header, sequence: header.sequence + 1, firstGroup, previousCrc, salt, logEpoch }).copy(bytes)
  for await (const slot of slots) {
    try {
      await slot.file.write(bytes, 0)
      await slot.file.sync()
      return true
    } catch (error) {
      logger.error({ slot: slot.path, error: String(error) }, 'a slot cannot be written')
    }
  }
  return false
}

/** Bytes of a slot that begins with the group. */
export const movedBytes = ({ length }: NewestGroup): number => firstGroupPosition + alignUp(length, blockBytes)

const readGroup = async ({ segment, position, length }: NewestGroup, target: Buffer): Promise<void> => {
  const count = await segment.slot.file.read(target.subarray(0, length), position)
  assert(count === length, 'the newest group can be read again')
}
