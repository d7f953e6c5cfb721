import { hasValidCrc } from '../wire/kafka/record-batch.ts'
import type { ColdPlace } from './control-record.ts'
import { frameBatchBytes, frameHeaderBytes, frameHeaderIsIntact } from './frame.ts'
import type { Damage } from './inspect-damage.ts'
import { type InspectedDirectory, type InspectedSlot, openSlot } from './inspect-directory.ts'
import { type InspectedFooter, inspectFooter, segmentOfFooter } from './inspect-footer.ts'
import { type WalkedFrame, walkedFrame } from './inspect-frames.ts'
import type { InspectPlatform } from './inspect-segments.ts'
import { firstGroupPosition, saltSeed } from './layout.ts'
import type { Segment } from './segment.ts'
import type { SlotHeader } from './slot.ts'
import { SlotReader } from './slot-reader.ts'

export type ColdStep =
  /** A frame whose batch verifies. */
  { readonly kind: 'frame'; readonly frame: WalkedFrame } | { readonly kind: 'damage'; readonly damage: Damage }

/** A cold segment that the log has published, open for a walk. */
export interface InspectedCold {
  readonly slot: InspectedSlot
  readonly header: SlotHeader
  /** Position after the last frame. */
  readonly end: number
  readonly footer: InspectedFooter
  /** What its footer says that it holds; absent when that is damaged. */
  readonly segment?: Segment
  /** From front to back. */
  steps(): AsyncGenerator<ColdStep>
}

/** Opens all cold segments that the log has published, oldest first. A slot that meanwhile holds something else is passed over. */
export async function* inspectColdSegments(
  { files }: InspectPlatform,
  { directory, slots }: InspectedDirectory,
  published: ReadonlyMap<number, ColdPlace>,
): AsyncGenerator<InspectedCold> {
  for (const place of [...published.values()].sort((one, other) => one.sequence - other.sequence)) {
    const slot = slots.find(({ number, header }) => number === place.slot && header?.salt === place.salt)
    const header = slot?.header
    if (slot === undefined || header?.kind !== 'cold') continue
    const file = await openSlot(files, directory, slot.number, () => {})
    if (file === undefined) continue
    try {
      const footer = await inspectFooter(file, header)
      const segment = segmentOfFooter(slot.number, file, header, footer)
      const reader = new SlotReader(file, await file.size())
      const steps = (): AsyncGenerator<ColdStep> => walkFrames(reader, slot.number, place)
      yield { slot, header, end: place.end, footer, steps, ...(segment === undefined ? {} : { segment }) }
    } finally {
      await file.close()
    }
  }
}

/** Frames stand behind each other without padding; behind a damaged header nothing tells where the next one begins but its checksum. */
async function* walkFrames(reader: SlotReader, slot: number, { salt, end }: ColdPlace): AsyncGenerator<ColdStep> {
  const seed = saltSeed(salt)
  let damagedFrom: number | undefined
  const headerDamage = (from: number, to: number): ColdStep => ({
    kind: 'damage',
    damage: { slot, position: from, bytes: to - from, cause: 'frameHeader' },
  })
  for (let position = firstGroupPosition; position < end; ) {
    const probe = await reader.bytes(position, Math.min(128, end - position))
    if (!frameHeaderIsIntact(probe, 0, seed) || position + frameHeaderBytes + frameBatchBytes(probe, 0) > end) {
      damagedFrom ??= position
      position++
      continue
    }
    if (damagedFrom !== undefined) yield headerDamage(damagedFrom, position)
    damagedFrom = undefined
    const bytes = await reader.bytes(position, frameHeaderBytes + frameBatchBytes(probe, 0))
    const frame = walkedFrame(bytes, 0, position)
    const { partition, firstOffset: first, lastOffset: last } = frame
    if (hasValidCrc(bytes.subarray(frameHeaderBytes))) yield { kind: 'frame', frame }
    else {
      const range = { slot, position, bytes: bytes.length, partition, first, last }
      yield { kind: 'damage', damage: { ...range, cause: 'batch' } }
    }
    position += bytes.length
  }
  if (damagedFrom !== undefined) yield headerDamage(damagedFrom, end)
}
