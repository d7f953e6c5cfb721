import type { Logger } from '../platform/logger.ts'
import { blockBytes, firstGroupPosition } from './layout.ts'
import { Segment } from './segment.ts'
import { decodeSlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'

/** What the slots of a directory hold, as their headers say. */
export interface FoundSegments {
  /** Hot ones, by sequence. */
  readonly segments: Segment[]
  /** Cold ones, by sequence; some may never have been published. */
  readonly cold: Segment[]
  readonly free: Slot[]
  /** Free, as far as their headers say: they hold none that verifies. */
  readonly unreadable: Slot[]
}

/** Reads the header of every slot. A slot with a header of another log is free; one with none may have been damaged. */
export const readSlotHeaders = async (
  slots: Iterable<Slot>,
  logIds: ReadonlySet<string>,
  logger: Logger,
): Promise<FoundSegments> => {
  const segments: Segment[] = []
  const cold: Segment[] = []
  const free: Slot[] = []
  const unreadable: Slot[] = []
  for (const slot of slots) {
    const block = Buffer.alloc(blockBytes)
    const count = slot.preparedBytes >= blockBytes ? await slot.file.read(block, 0) : 0
    const header = count === blockBytes ? decodeSlotHeader(block) : undefined
    if (header !== undefined && header.kind !== 'free' && logIds.has(header.logId)) {
      const found = header.kind === 'cold' ? cold : segments
      found.push(new Segment(slot, header, firstGroupPosition))
    } else {
      free.push(slot)
      if (header === undefined) unreadable.push(slot)
      if (header !== undefined && header.kind !== 'free') {
        logger.warn({ slot: slot.number, logId: header.logId }, 'a slot of another log is taken as free')
      }
    }
  }
  for (const found of [segments, cold]) found.sort((one, other) => one.sequence - other.sequence)
  return { segments, cold, free, unreadable }
}
