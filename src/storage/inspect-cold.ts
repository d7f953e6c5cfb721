import { hasValidCrc } from '../wire/kafka/record-batch.ts'
import type { ColdPlace } from './control-record.ts'
import { frameBatchBytes, frameHeaderBytes, frameHeaderIsIntact } from './frame.ts'
import type { Damage } from './inspect-damage.ts'
import { type InspectedDirectory, type InspectedSlot, openSlot } from './inspect-directory.ts'
import { inspectFooter, segmentOfFooter } from './inspect-footer.ts'
import type { InspectPlatform } from './inspect-segments.ts'
import { firstGroupPosition, saltSeed } from './layout.ts'
import type { Segment } from './segment.ts'
import type { SlotHeader } from './slot.ts'
import { SlotReader } from './slot-reader.ts'

/** What a walk over a cold segment calls. */
export interface ColdObserver {
  /** A frame whose batch verifies. */
  frame(partition: number, batch: Buffer): void
  damage(damage: Damage): void
}

/** A cold segment that the log has published, as it was found. */
export interface InspectedCold {
  readonly slot: InspectedSlot
  readonly header: SlotHeader
  /** Position after the last frame. */
  readonly end: number
  /** What its footer says that it holds; absent when that is damaged. */
  readonly segment?: Segment
}

/** Looks through all cold segments that the log has published. A slot that meanwhile holds something else is passed over. */
export async function* inspectColdSegments(
  { files }: InspectPlatform,
  { directory, meta, slots }: InspectedDirectory,
  published: ReadonlyMap<number, ColdPlace>,
  observer: ColdObserver,
): AsyncGenerator<InspectedCold> {
  for (const place of published.values()) {
    const slot = slots.find(({ number, header }) => number === place.slot && header?.salt === place.salt)
    if (slot?.header === undefined || slot.header.kind !== 'cold') continue
    const file = await openSlot(files, directory, slot.number, () => {})
    if (file === undefined) continue
    try {
      const footer = await inspectFooter(file, slot.header)
      const damage = {
        slot: slot.number,
        position: place.end,
        bytes: meta.slotBytes - place.end,
        cause: 'footer',
      } as const
      if (footer.state !== 'intact') observer.damage(damage)
      await walkFrames(new SlotReader(file, await file.size()), slot.number, place, observer)
      const segment = segmentOfFooter(slot.number, file, slot.header, footer)
      yield { slot, header: slot.header, end: place.end, ...(segment === undefined ? {} : { segment }) }
    } finally {
      await file.close()
    }
  }
}

/** Frames stand behind each other without padding; behind a damaged header nothing tells where the next one begins but its checksum. */
const walkFrames = async (
  reader: SlotReader,
  slot: number,
  { salt, end }: ColdPlace,
  observer: ColdObserver,
): Promise<void> => {
  const seed = saltSeed(salt)
  let damagedFrom: number | undefined
  const endDamage = (position: number): void => {
    if (damagedFrom === undefined) return
    observer.damage({ slot, position: damagedFrom, bytes: position - damagedFrom, cause: 'frameHeader' })
    damagedFrom = undefined
  }
  for (let position = firstGroupPosition; position < end; ) {
    const probe = await reader.bytes(position, Math.min(128, end - position))
    if (!frameHeaderIsIntact(probe, 0, seed) || position + frameHeaderBytes + frameBatchBytes(probe, 0) > end) {
      damagedFrom ??= position
      position++
      continue
    }
    endDamage(position)
    const length = frameHeaderBytes + frameBatchBytes(probe, 0)
    const frame = await reader.bytes(position, length)
    const batch = frame.subarray(frameHeaderBytes)
    if (hasValidCrc(batch)) observer.frame(frame.readUInt32BE(16), batch)
    else observer.damage({ slot, position, bytes: length, cause: 'batch' })
    position += length
  }
  endDamage(end)
}
