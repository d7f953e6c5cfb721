import { frameBatchBytes, frameHeaderBytes, framePartition } from './frame.ts'
import { groupFlags, groupHeaderBytes, readGroupHeader } from './group.ts'
import { batchIsIntact } from './group-scan.ts'
import { type InspectedDirectory, type InspectedSlot, inspectDirectory, openSlot } from './inspect-directory.ts'
import { emptySegment, inspectFooter, RebuiltIndex, segmentOfFooter } from './inspect-footer.ts'
import { type InspectedSegment, type InspectPlatform, inspectSegments } from './inspect-segments.ts'
import type { SegmentEnding } from './inspect-walk.ts'
import { firstGroupPosition } from './layout.ts'
import { logControlPartition } from './log.ts'
import { LogControl } from './log-control.ts'
import type { Segment } from './segment.ts'

/** What a segment holds. */
export interface SegmentSummary {
  readonly slot: number
  readonly kind: 'hot' | 'cold'
  readonly sequence: number
  readonly logEpoch: number
  /** A cold segment has no groups: 0. */
  readonly firstGroup: number
  readonly lastGroup: number
  readonly groups: number
  /** Of the slot, up to the end of the last group. */
  readonly usedBytes: number
  readonly fileBytes: number
  readonly partitions: number
  /** Log age in seconds of the first and the last batch; absent when there is none. */
  readonly firstLogAge?: number
  readonly lastLogAge?: number
  /** From the footer, or by a walk over its groups. */
  readonly source: 'footer' | 'walk'
  readonly ending: SegmentEnding
  /** Damaged ranges that the walk met; the footer tells of none. */
  readonly damages: number
}

export interface DirectorySummary {
  readonly inspected: InspectedDirectory
  readonly segments: readonly SegmentSummary[]
  /** Of the newest start, 16 hex digits; absent when its first group was not found. */
  readonly incarnation?: string
}

/** Says what every slot holds, from footers where they verify. Throws `StartError` 65 where there is no log of ours. */
export const summarizeDirectory = async (
  platform: InspectPlatform,
  directory: string,
  progress: (slot: number) => void = () => {},
): Promise<DirectorySummary> => {
  const inspected = await inspectDirectory(platform.files, directory)
  const newestSalt = inspected.meta.starts.at(-1)?.salt
  const segments: SegmentSummary[] = []
  let incarnation: string | undefined
  for await (const found of inspectSegments(platform, inspected)) {
    progress(found.slot.number)
    const { segment, summary } = await summarize(found)
    segments.push(summary)
    if (newestSalt !== undefined) incarnation ??= await findIncarnation(found, segment, newestSalt)
  }
  for (const slot of inspected.slots) {
    const summary = slot.header?.kind === 'cold' ? await summarizeCold(platform, inspected, slot) : undefined
    if (summary !== undefined) segments.push(summary)
  }
  // its first group may have been evicted: the state of the log control partition names it again
  incarnation ??= await newestIncarnation(platform, inspected, progress)
  return { inspected, segments, ...(incarnation === undefined ? {} : { incarnation }) }
}

/** What the newest start record of the log says. */
const newestIncarnation = async (
  platform: InspectPlatform,
  inspected: InspectedDirectory,
  progress: (slot: number) => void,
): Promise<string | undefined> => {
  const control = new LogControl(1)
  for await (const { slot, header, file, footer, walk } of inspectSegments(platform, inspected)) {
    const stored = segmentOfFooter(slot.number, file, header, footer)
    if (stored !== undefined && !stored.spans.has(logControlPartition)) continue
    progress(slot.number)
    for await (const step of walk.steps()) {
      if (step.kind !== 'group' && step.kind !== 'stray') continue
      for (const { partition, bytes, at } of step.frames) {
        if (partition === logControlPartition) control.applyBatch(batchAt(bytes, at))
      }
    }
  }
  return control.start.incarnation || undefined
}

const batchAt = (bytes: Buffer, at: number): Buffer =>
  bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + frameBatchBytes(bytes, at))

const summarize = async (found: InspectedSegment): Promise<{ segment: Segment; summary: SegmentSummary }> => {
  const { slot, header, file, footer, walk } = found
  const stored =
    footer.trailer !== undefined && footer.trailer.lastGroup === found.lastGroup
      ? segmentOfFooter(slot.number, file, header, footer)
      : undefined
  if (stored !== undefined) return { segment: stored, summary: summaryOf(found, stored, 'footer', 'sealed', 0) }
  const rebuilt = new RebuiltIndex(slot.number, file, header)
  let damages = 0
  for await (const step of walk.steps()) {
    if (step.kind === 'damage') damages++
    else rebuilt.take(step)
  }
  return { segment: rebuilt.segment, summary: summaryOf(found, rebuilt.segment, 'walk', walk.ending, damages) }
}

/** What the footer says; while it is written there is none, and until the log publishes it the segment does not count. */
const summarizeCold = async (
  { files }: InspectPlatform,
  { directory }: InspectedDirectory,
  slot: InspectedSlot,
): Promise<SegmentSummary | undefined> => {
  const { header, number } = slot
  const file = header === undefined ? undefined : await openSlot(files, directory, number, () => {})
  if (header === undefined || file === undefined) return undefined
  try {
    const footer = await inspectFooter(file, header)
    const segment = segmentOfFooter(number, file, header, footer) ?? emptySegment(number, file, header)
    const isWhole = footer.state === 'intact'
    return summaryOf({ slot, header }, segment, 'footer', isWhole ? 'sealed' : 'open', 0)
  } finally {
    await file.close()
  }
}

const summaryOf = (
  { slot, header }: Pick<InspectedSegment, 'slot' | 'header'>,
  segment: Segment,
  source: SegmentSummary['source'],
  ending: SegmentEnding,
  damages: number,
): SegmentSummary => {
  const spans = [...segment.allSpans()]
  const ages = {
    firstLogAge: spans.reduce((least, { firstLogAge }) => Math.min(least, firstLogAge), Number.POSITIVE_INFINITY),
    lastLogAge: spans.reduce((most, { lastLogAge }) => Math.max(most, lastLogAge), 0),
  }
  return {
    slot: slot.number,
    kind: header.kind === 'cold' ? 'cold' : 'hot',
    sequence: header.sequence,
    logEpoch: header.logEpoch,
    firstGroup: header.firstGroup,
    lastGroup: segment.isCold ? 0 : segment.lastGroup,
    groups: segment.isCold ? 0 : segment.lastGroup - header.firstGroup + 1,
    usedBytes: segment.end,
    fileBytes: slot.fileBytes,
    partitions: new Set(spans.map(({ partition }) => partition)).size,
    ...(spans.length === 0 ? {} : ages),
    source,
    ending,
    damages,
  }
}

/** The incarnation that the first group of the start with this salt names, when it stands in the segment. */
const findIncarnation = async (
  { header, file }: InspectedSegment,
  segment: Segment,
  salt: bigint,
): Promise<string | undefined> => {
  const later = segment.salts.indexOf(salt)
  if (later < 0 && header.salt !== salt) return undefined
  const position = later < 0 ? firstGroupPosition : segment.saltPositions[later]!
  const head = Buffer.alloc(groupHeaderBytes)
  await file.read(head, position)
  const group = readGroupHeader(head, 0)
  if (group === undefined || (group.flags & groupFlags.start) === 0 || group.length > header.slotBytes) return undefined
  const bytes = Buffer.alloc(group.length)
  await file.read(bytes, position)
  return startRecordOf(bytes)
}

/** The start record is in the first batch of its group. */
const startRecordOf = (bytes: Buffer): string | undefined => {
  const at = groupHeaderBytes
  if (bytes.length < at + frameHeaderBytes || framePartition(bytes, at) !== logControlPartition) return undefined
  if (!batchIsIntact(bytes, at)) return undefined
  const control = new LogControl(1)
  control.applyBatch(batchAt(bytes, at))
  return control.start.incarnation || undefined
}
