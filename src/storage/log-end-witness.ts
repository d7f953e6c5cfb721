import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import { readActiveIndex, segmentSummaries } from './checkpoint.ts'
import { type IndexedOffsets, indexedOffsets, readIndexBytes, verifiedTrailer } from './footer.ts'
import type { ChainLink } from './group-scan.ts'
import type { Segment } from './segment.ts'

/**
 * What indexes say of the offsets that were given, for recovery after damage: the checkpoint's summaries of sealed segments (also of
 * those whose slot is lost), its index of the segment that was active, and footers. All of it was made of synced data, so that what it
 * names was in the log; what recovery did not find of it is damage. `adopted` names segments that were believed as a whole.
 */
export const witnessedOffsets = async (
  store: CheckpointStore | undefined,
  scanned: readonly Segment[],
  adopted: ReadonlySet<string>,
): Promise<IndexedOffsets[]> => {
  const indexes: Buffer[] = []
  if (store !== undefined) {
    for (const [name, summary] of segmentSummaries(store)) if (!adopted.has(name)) indexes.push(summary)
    const active = readActiveIndex(store)
    if (active !== undefined) indexes.push(active)
  }
  for (const segment of scanned) {
    const footer = await readIndexBytes(segment)
    if (footer !== undefined) indexes.push(footer)
  }
  return indexes.flatMap(index => indexedOffsets(index))
}

/** Those that a segment's index names, which is in memory. */
export const offsetsOf = (segment: Segment): IndexedOffsets[] =>
  [...segment.allSpans()].map(({ partition, firstOffset, endOffset }) => ({
    partition,
    first: firstOffset,
    end: endOffset,
  }))

/** A footer is made when all groups of its segment are on the device: so says that of the segment, and this is the last one that it names. */
export const footerEndsWith = async (segment: Segment, { group, crc }: ChainLink): Promise<boolean> => {
  const footer = await readIndexBytes(segment)
  const trailer = footer === undefined ? undefined : verifiedTrailer(footer)
  return trailer?.lastGroup === group && trailer.lastCrc === crc
}
