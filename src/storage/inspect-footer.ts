import { partitionId } from '../core/brand.ts'
import { crc32c } from '../core/crc32c.ts'
import type { RandomAccessFile } from '../platform/files.ts'
import { decodeTrailer, encodeSegmentIndex, type FooterTrailer, takeSegmentIndex, trailerBytes } from './footer.ts'
import { describeFrame, indexFrame } from './frame-indexer.ts'
import type { WalkedFrame } from './inspect-frames.ts'
import type { WalkStep } from './inspect-walk.ts'
import { firstGroupPosition } from './layout.ts'
import { PartitionLog } from './partition-log.ts'
import { Segment } from './segment.ts'
import type { SlotHeader } from './slot.ts'

/**
 * What stands at the end of a slot. `none`: nothing yet; `stale`: the footer of an earlier segment; `damaged`: something that does not
 * verify.
 */
export type FooterState = 'none' | 'stale' | 'damaged' | 'intact'

export interface InspectedFooter {
  readonly state: FooterState
  /** When its own checksum holds and it belongs to this segment. */
  readonly trailer?: FooterTrailer
  /** Whole footer without padding, when it is intact. */
  readonly index?: Buffer
}

/** Reads the footer of the segment with this header. */
export const inspectFooter = async (file: RandomAccessFile, header: SlotHeader): Promise<InspectedFooter> => {
  const { slotBytes, sequence, salt } = header
  if ((await file.size()) < slotBytes) return { state: 'none' }
  const block = Buffer.alloc(trailerBytes)
  await file.read(block, slotBytes - trailerBytes)
  if (block.every(byte => byte === 0)) return { state: 'none' }
  const trailer = decodeTrailer(block)
  if (trailer === undefined) return { state: 'damaged' }
  if (trailer.sequence !== sequence || trailer.salt !== salt) return { state: 'stale' }
  if (trailer.bodyBytes > slotBytes - trailerBytes - firstGroupPosition) return { state: 'damaged' }
  const index = Buffer.alloc(trailer.bodyBytes + trailerBytes)
  await file.read(index, slotBytes - index.length)
  const intact = crc32c(index.subarray(0, trailer.bodyBytes)) === trailer.bodyCrc
  return intact ? { state: 'intact', trailer, index } : { state: 'damaged', trailer }
}

/** What a segment holds, as an intact footer says; undefined when there is none. */
export const segmentOfFooter = (
  slot: number,
  file: RandomAccessFile,
  header: SlotHeader,
  footer: InspectedFooter,
): Segment | undefined => {
  const segment = emptySegment(slot, file, header)
  return footer.index !== undefined && takeSegmentIndex(segment, footer.index) ? segment : undefined
}

/** A segment of which only the header is known. */
export const emptySegment = (number: number, file: RandomAccessFile, header: SlotHeader): Segment =>
  new Segment(
    { number, path: file.path, file, preparedBytes: 0, taken: true, damaged: false, isBad: false, turnBad: () => {} },
    header,
    firstGroupPosition,
  )

/** Builds the index of a segment anew from what a walk finds in it. */
export class RebuiltIndex {
  readonly segment: Segment
  readonly #logs = new Map<number, PartitionLog>()
  /** Partitions to index; all when absent. */
  readonly #only: ReadonlySet<number> | undefined
  #failed = false

  constructor(slot: number, file: RandomAccessFile, header: SlotHeader, only?: ReadonlySet<number>) {
    this.segment = emptySegment(slot, file, header)
    this.#only = only
  }

  /** Something in the segment was not as the log writes it: there is no index to compare. */
  get failed(): boolean {
    return this.#failed
  }

  take(step: WalkStep): void {
    const { segment } = this
    if (step.kind === 'damage') this.#failed = true
    else if (step.kind === 'copy') segment.end = step.position + step.bytes
    else if (step.kind === 'stray') for (const frame of step.frames) this.#index(frame)
    else {
      const { header, position } = step
      if (header.salt !== segment.header.salt && header.salt !== segment.salts.at(-1)) {
        segment.addSalt(position, header.salt)
      }
      for (const frame of step.frames) this.#index(frame)
      segment.end = position + header.length
      segment.lastGroup = header.number
      segment.lastCrc = header.crc
    }
  }

  /** Whether the stored index says what the segment holds. */
  equals({ index, trailer }: InspectedFooter): boolean {
    if (index === undefined || trailer === undefined) return false
    return encodeSegmentIndex(this.segment, trailer.logAge, true).equals(index)
  }

  #index(frame: WalkedFrame): void {
    const { partition, firstOffset, lastOffset } = frame
    if (this.#only !== undefined && !this.#only.has(partition)) return
    let log = this.#logs.get(partition)
    if (log === undefined) {
      log = new PartitionLog(partitionId(partition))
      log.logEnd = firstOffset
      this.#logs.set(partition, log)
    }
    // what the walk reports as damage must not end it
    if (firstOffset < log.logEnd || lastOffset < firstOffset) this.#failed = true
    else indexFrame(this.segment, log, describeFrame(frame.bytes, frame.at, frame.position))
  }
}
