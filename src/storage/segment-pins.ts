import { encodeMeta } from './meta.ts'
import type { RecoveredLog } from './recover-log.ts'
import type { Segment } from './segment.ts'

/** A segment as it was when it was pinned. Up to `end` its bytes never change while it is pinned. */
export interface PinnedSegment {
  readonly slot: number
  readonly kind: 'hot' | 'cold'
  readonly sequence: number
  /** 16 hex digits. */
  readonly salt: string
  /** Position after its last durable group (or frame). */
  readonly end: number
  readonly sealed: boolean
}

/** The whole log at one moment: all groups up to `lastGroup`, each durable. */
export interface LogImage {
  readonly logId: string
  readonly lastGroup: number
  readonly slotBytes: number
  /** The file `meta`, base64. */
  readonly meta: string
  /** What makes room first comes first. */
  readonly segments: readonly PinnedSegment[]
}

/** Segments whose slots are not used again before they are released. */
export interface SegmentPins {
  readonly image: LogImage
  /** Gives the segment at this index of the image free; again: nothing. */
  release(index: number): void
  releaseAll(): void
}

/** Pins all segments of the log as it is durable now. While they are, eviction waits for their slots. */
export const pinSegments = ({ segments, meta }: RecoveredLog): SegmentPins => {
  // a hot segment without a durable group is not part of the log yet
  const pinned: (Segment | undefined)[] = segments.filter(segment => segment.isCold || segment.isKnown)
  const image: LogImage = {
    logId: meta.logId,
    lastGroup: segments.findLast(({ isCold, isKnown }) => !isCold && isKnown)?.lastGroup ?? 0,
    slotBytes: meta.slotBytes,
    meta: encodeMeta(meta).toString('base64'),
    segments: pinned.map(segment => describe(segment!)),
  }
  for (const segment of pinned) segment!.readers++
  const release = (index: number): void => {
    const segment = pinned[index]
    if (segment !== undefined) segment.readers--
    pinned[index] = undefined
  }
  return {
    image,
    release,
    releaseAll: () => {
      for (const index of pinned.keys()) release(index)
    },
  }
}

const describe = ({ slot, header, end, sealed, isCold }: Segment): PinnedSegment => ({
  slot: slot.number,
  kind: isCold ? 'cold' : 'hot',
  sequence: header.sequence,
  salt: header.salt.toString(16).padStart(16, '0'),
  end,
  sealed,
})
