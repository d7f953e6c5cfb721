import type { Logger } from '../platform/logger.ts'
import { type FooterTrailer, readTrailer } from './footer.ts'
import { groupHeaderBytes } from './group.ts'
import { findFirstGroup, type ScannedGroup } from './group-scan.ts'
import { firstGroupPosition } from './layout.ts'
import { Segment } from './segment.ts'
import { encodeSlotHeader, type SlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'
import { SlotReader } from './slot-reader.ts'

/** What tells segments of this log from other bytes. */
export interface KnownLog {
  readonly logId: string
  readonly slotBytes: number
  /** Of all starts that are known. */
  readonly salts: ReadonlySet<bigint>
}

/**
 * Headers for slots whose header does not verify though groups of this log stand in them. Salts are secret and random, so that only this log
 * wrote these groups; the segment's number comes from its footer, or from the segments before and behind it. A former life of a slot that
 * was being written at a crash does not fit between the others, or holds only what is dead by its log starts. Written to the device, so
 * that every later start finds it.
 */
export const repairSlotHeaders = async (
  unreadable: readonly Slot[],
  segments: readonly Segment[],
  known: KnownLog,
  logger: Logger,
): Promise<Segment[]> => {
  const repaired: Segment[] = []
  for (const slot of unreadable) {
    const hot = [...segments, ...repaired].filter(segment => !segment.isCold)
    const header = await headerFromContent(slot, hot, known)
    if (header === undefined) continue
    logger.error(
      { slot: slot.number, segment: header.sequence },
      'the header of a slot is damaged, it is made again from its content',
    )
    try {
      await slot.file.write(encodeSlotHeader(header), 0)
      await slot.file.sync()
    } catch (error) {
      logger.error({ slot: slot.number, error: String(error) }, 'the header of a slot cannot be written')
    }
    repaired.push(new Segment(slot, header, firstGroupPosition))
  }
  return repaired
}

const headerFromContent = async (
  slot: Slot,
  segments: readonly Segment[],
  { logId, slotBytes, salts }: KnownLog,
): Promise<SlotHeader | undefined> => {
  const trailer = await readTrailer(slot, slotBytes)
  if (trailer?.isCold) return coldHeader(trailer, logId, slotBytes)
  const first = await firstGroupIn(slot, trailer, salts)
  if (first === undefined) return undefined
  const { number: firstGroup, previousCrc, salt, logEpoch } = first.header
  const sequence = sequenceOf(firstGroup, trailer, segments)
  return sequence === undefined
    ? undefined
    : { kind: 'hot', logId, sequence, salt, slotBytes, firstGroup, previousCrc, logEpoch }
}

/** Whether the log knows this segment is for its control records to say. */
export const coldHeader = (
  { sequence, salt }: { readonly sequence: number; readonly salt: bigint },
  logId: string,
  slotBytes: number,
): SlotHeader => ({ kind: 'cold', logId, sequence, salt, slotBytes, firstGroup: 0, previousCrc: 0, logEpoch: 0 })

/** The first whole group of the slot. All of a slot is searched only when something in it looks like one of ours. */
const firstGroupIn = async (
  slot: Slot,
  trailer: FooterTrailer | undefined,
  salts: ReadonlySet<bigint>,
): Promise<ScannedGroup | undefined> => {
  const reader = new SlotReader(slot.file, slot.preparedBytes)
  const start = await reader.bytes(0, firstGroupPosition + groupHeaderBytes)
  const isBlank = start.every(byte => byte === 0)
  if (isBlank && trailer === undefined) return undefined
  return findFirstGroup(reader, firstGroupPosition, salts)
}

/** The number of a segment that begins with this group; undefined when it does not fit between the others. */
const sequenceOf = (
  firstGroup: number,
  trailer: FooterTrailer | undefined,
  segments: readonly Segment[],
): number | undefined => {
  let before: Segment | undefined
  let behind: Segment | undefined
  for (const segment of segments) {
    const { firstGroup: first } = segment.header
    if (first === firstGroup) return undefined
    if (first < firstGroup && first > (before?.header.firstGroup ?? -1)) before = segment
    if (first > firstGroup && first < (behind?.header.firstGroup ?? Number.POSITIVE_INFINITY)) behind = segment
  }
  const own = trailer !== undefined && trailer.lastGroup >= firstGroup ? trailer.sequence : undefined
  const sequence = own ?? (before === undefined ? (behind?.sequence ?? 2) - 1 : before.sequence + 1)
  const fits = sequence > (before?.sequence ?? 0) && sequence < (behind?.sequence ?? Number.POSITIVE_INFINITY)
  return fits ? sequence : undefined
}
