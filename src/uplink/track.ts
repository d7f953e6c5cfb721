import type { OffsetSpan, UpstreamPosition } from '../state/uplink.ts'

/** What of a partition is upstream, or never will be: all below `next`, and the spans ahead of it, ascending and apart. */
export interface Track {
  readonly next: number
  readonly ahead: readonly OffsetSpan[]
}

/** Offsets `first` to below `end` that are not upstream. */
export interface Hole {
  readonly first: number
  readonly end: number
}

/** Spans that a position upstream names at most, and with them the times that a lane may turn to newer records before it has filled older holes. */
const mostAhead = 8
/** A backlog of less is sent in its order: it is upstream soon. */
const roundsOfBacklog = 2

export const emptyTrack: Track = { next: 0, ahead: [] }

export const trackOf = ({ last, ahead = [] }: Pick<UpstreamPosition, 'last' | 'ahead'>): Track => ({
  next: last + 1,
  ahead,
})

/** With the offsets `first` to below `end`, too. */
export const covered = ({ next, ahead }: Track, { first, end }: Hole): Track => {
  if (end <= first) return { next, ahead }
  const spans = [...ahead, { first, last: end - 1 }].sort((one, other) => one.first - other.first)
  let through = next
  const joined: OffsetSpan[] = []
  for (const span of spans) {
    const before = joined.at(-1)
    if (span.first <= through) through = Math.max(through, span.last + 1)
    else if (before !== undefined && span.first <= before.last + 1)
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, span.last) }
    else joined.push(span)
  }
  return { next: through, ahead: joined }
}

/** What of it lies below `end`. */
export const cutAt = ({ next, ahead }: Track, end: number): Track => ({
  next: Math.min(next, end),
  ahead: ahead.filter(({ first }) => first < end).map(({ first, last }) => ({ first, last: Math.min(last, end - 1) })),
})

/** What is in one of them. */
export const together = (tracks: readonly Track[]): Track =>
  tracks
    .flatMap(({ next, ahead }) => [
      { first: 0, end: next },
      ...ahead.map(({ first, last }) => ({ first, end: last + 1 })),
    ])
    .reduce(covered, emptyTrack)

/** As a position says it. */
export const placeOf = ({ next, ahead }: Track): Pick<UpstreamPosition, 'last' | 'ahead'> => ({
  last: next - 1,
  ...(ahead.length === 0 ? {} : { ahead }),
})

/** Offsets that are upstream, or never will be. */
export const offsetsIn = ({ next, ahead }: Track): number =>
  ahead.reduce((sum, { first, last }) => sum + last - first + 1, next)

/** The end of all of it. */
export const endOf = ({ next, ahead }: Track): number => (ahead.at(-1)?.last ?? next - 1) + 1

/** What is missing below `end`, ascending. */
export const holesIn = ({ next, ahead }: Track, end: number): Hole[] => {
  const starts = [next, ...ahead.map(({ last }) => last + 1)]
  const ends = [...ahead.map(({ first }) => first), end]
  return starts
    .map((first, index) => ({ first, end: Math.min(end, ends[index]!) }))
    .filter(hole => hole.first < hole.end)
}

/**
 * The holes with the newest records first, and of a long one that reaches to `end` only its last `fitting` offsets; then the others, oldest first.
 * What came last goes up now, and what had to wait fills up beside it.
 */
export const newestFirst = (
  track: Track,
  { logStart, end }: { logStart: number; end: number },
  fitting: number,
): Hole[] => {
  const holes = holesIn(track, end)
  if (holes.at(-1)?.end !== end) return holes
  const newest = holes.pop()!
  const isLong = end - Math.max(logStart, newest.first) > roundsOfBacklog * fitting
  if (!isLong || track.ahead.length >= mostAhead) return [newest, ...holes]
  const first = end - fitting
  return [{ first, end }, ...holes, { first: newest.first, end: first }]
}
