import type { Logger } from '../platform/logger.ts'
import { nextInChain } from './group-scan.ts'
import { firstGroupPosition } from './layout.ts'
import type { Segment } from './segment.ts'
import { SlotReader } from './slot-reader.ts'

/**
 * One segment for each sequence: a slot file that was copied over another, or a write that the device put into the wrong place, makes two slots
 * claim to be the same. The one in which the chain goes further counts; the other is no part of the log. `segments` are in the order of their sequences.
 */
export const withoutDuplicates = async (segments: readonly Segment[], logger: Logger): Promise<Segment[]> => {
  const chosen: Segment[] = []
  for (const segment of segments) {
    const twin = chosen.at(-1)
    if (twin?.sequence !== segment.sequence) {
      chosen.push(segment)
      continue
    }
    const slots = [twin.slot.number, segment.slot.number]
    logger.error(
      { segment: segment.sequence, slots },
      'two slots claim to hold the same segment, the fuller one counts',
    )
    if ((await lastWholeGroup(segment)) > (await lastWholeGroup(twin))) chosen.splice(-1, 1, segment)
  }
  return chosen
}

/** The number of the last group up to which the chain is whole. */
const lastWholeGroup = async ({ slot, header }: Segment): Promise<number> => {
  const reader = new SlotReader(slot.file, slot.preparedBytes)
  let chain = { group: header.firstGroup - 1, crc: header.previousCrc, salt: header.salt }
  let end = firstGroupPosition
  for (;;) {
    const group = await nextInChain(reader, end, chain)
    if (typeof group === 'string') return chain.group
    chain = { group: group.header.number, crc: group.header.crc, salt: group.header.salt }
    end = group.position + group.header.length
  }
}
