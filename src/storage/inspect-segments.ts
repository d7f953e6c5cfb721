import type { Clock } from '../platform/clock.ts'
import { sleep } from '../platform/clock.ts'
import type { Files, RandomAccessFile } from '../platform/files.ts'
import { groupHeaderBytes, readGroupHeader } from './group.ts'
import { findWitness } from './group-scan.ts'
import { type InspectedDirectory, type InspectedSlot, inspectSlots, openSlot } from './inspect-directory.ts'
import { type InspectedFooter, inspectFooter } from './inspect-footer.ts'
import { SegmentWalk } from './inspect-walk.ts'
import { firstGroupPosition } from './layout.ts'
import type { Meta } from './meta.ts'
import type { SlotHeader } from './slot.ts'
import { SlotReader } from './slot-reader.ts'

/** A segment that is open for a walk. */
export interface InspectedSegment {
  readonly slot: InspectedSlot
  readonly header: SlotHeader
  readonly file: RandomAccessFile
  readonly footer: InspectedFooter
  readonly walk: SegmentWalk
  /** No group follows in this segment. */
  readonly isSealed: boolean
  /** Number of its last group, where the next segment or the footer tells. */
  readonly lastGroup: number | undefined
  /** Positions of blocks that the device could not read so far. */
  readonly unreadable: readonly number[]
}

export interface InspectPlatform {
  readonly files: Files
  readonly clock: Clock
}

const pauseMs = 50

export const saltsOf = (meta: Meta): Set<bigint> => new Set(meta.starts.map(({ salt }) => salt))

/**
 * Opens the segments of the log one after the other, oldest first, each for the time of one step. Segments that a running gateway begins
 * meanwhile come too, as many as there are slots.
 */
export async function* inspectSegments(
  platform: InspectPlatform,
  { directory, meta, slots }: InspectedDirectory,
): AsyncGenerator<InspectedSegment> {
  let queue = bySequence(slots)
  let newest = 0
  const rounds = slots.length
  for (let round = 0; queue.length > 0 && round <= rounds; round++) {
    for (const [index, slot] of queue.entries()) {
      const next = queue[index + 1]?.header
      newest = slot.header.sequence
      const unreadable: number[] = []
      const file = await openSlot(platform.files, directory, slot.number, position => unreadable.push(position))
      if (file === undefined) continue
      try {
        yield await openSegment(platform, meta, { slot, file, next, unreadable })
      } finally {
        await file.close()
      }
    }
    const now = bySequence(await inspectSlots(platform.files, directory, meta))
    queue = now.filter(({ header }) => header.sequence > newest)
  }
}

type SlotOfSegment = InspectedSlot & { readonly header: SlotHeader }

const isSegment = (slot: InspectedSlot): slot is SlotOfSegment =>
  slot.state === 'segment' && slot.header?.kind === 'hot'

const bySequence = (slots: readonly InspectedSlot[]): SlotOfSegment[] =>
  slots.filter(isSegment).sort((one, other) => one.header.sequence - other.header.sequence)

const openSegment = async (
  { clock }: InspectPlatform,
  meta: Meta,
  found: {
    readonly slot: SlotOfSegment
    readonly file: RandomAccessFile
    readonly next: SlotHeader | undefined
    readonly unreadable: readonly number[]
  },
): Promise<InspectedSegment> => {
  const { slot, file, next, unreadable } = found
  const { header } = slot
  const footer = await inspectFooter(file, header)
  const direct = next?.sequence === header.sequence + 1 ? next.firstGroup - 1 : undefined
  // a footer that was written before the segment took its last groups does not lead to the next segment
  const footerLeads = direct === undefined || footer.trailer?.lastGroup === direct
  const trailer = footerLeads ? footer.trailer : undefined
  const lastGroup = direct ?? trailer?.lastGroup
  const isSealed = next !== undefined || trailer !== undefined
  const walk = new SegmentWalk({
    slot: slot.number,
    file,
    slotBytes: header.slotBytes,
    salts: saltsOf(meta).add(header.salt),
    chain: { group: header.firstGroup - 1, crc: header.previousCrc, salt: header.salt },
    pause: () => sleep(clock, pauseMs),
    leadsToNext: direct !== undefined,
    ...(lastGroup === undefined ? {} : { lastGroup }),
    ...(trailer === undefined ? {} : { endPosition: trailer.end }),
  })
  return { slot, header, file, footer, walk, isSealed, lastGroup, unreadable }
}

/** A walk over a slot without a header that verifies; undefined when no group of this log stands in it. */
export const walkWithoutHeader = async (
  { clock }: InspectPlatform,
  meta: Meta,
  slot: InspectedSlot,
  file: RandomAccessFile,
): Promise<SegmentWalk | undefined> => {
  const salts = saltsOf(meta)
  const reader = new SlotReader(file, Math.min(slot.fileBytes, meta.slotBytes))
  const first = readGroupHeader(await reader.bytes(firstGroupPosition, groupHeaderBytes), 0)
  const group =
    first !== undefined && salts.has(first.salt)
      ? first
      : (await findWitness(reader, firstGroupPosition, { group: 0, crc: 0, salt: 0n }, salts))?.header
  if (group === undefined) return undefined
  return new SegmentWalk({
    slot: slot.number,
    file,
    slotBytes: meta.slotBytes,
    salts,
    chain: { group: group.number - 1, crc: group.previousCrc, salt: group.salt },
    pause: () => sleep(clock, pauseMs),
  })
}
