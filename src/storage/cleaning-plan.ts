import { isDead, type LogLookup, liveSegmentBytes } from './live-bytes.ts'
import type { Segment } from './segment.ts'

/** A segment whose live batches are to be copied, so that its slot becomes free. */
export interface Victim {
  readonly segment: Segment
  readonly liveBytes: number
}

export interface CleaningLog {
  readonly segments: readonly Segment[]
  readonly slotBytes: number
  readonly logAge: number
  logOf: LogLookup
}

/** Segments with less than this share of dead bytes are not worth their copying. */
const leastDeadShare = 1 / 8
/** So much at the end of a segment may be there because the next batch did not fit: the copy would have it too. */
const tailShare = 1 / 4

/**
 * Segments to clean, best first: few live bytes, weighted by age, because what is young may die by itself soon (the older half of the log counts up
 * to twice). Empty when cleaning all of them would not free a slot.
 */
export const planCleaning = (log: CleaningLog): Victim[] => {
  const { slotBytes, logAge } = log
  const ranked: { victim: Victim; score: number }[] = []
  let deadBytes = 0
  const oldest = Math.max(1, logAge - log.segments.reduce((least, segment) => Math.min(least, ageOf(segment)), logAge))
  for (const segment of log.segments) {
    if (!segment.sealed || !segment.hasFooter || isDead(segment, log.logOf)) continue
    const liveBytes = liveSegmentBytes(segment, log.logOf)
    const dead = deadBytesOf(segment, liveBytes, slotBytes)
    if (dead < slotBytes * leastDeadShare) continue
    deadBytes += dead
    const used = liveBytes / slotBytes
    const age = 1 + (logAge - ageOf(segment)) / oldest
    ranked.push({ victim: { segment, liveBytes }, score: ((1 - used) * age) / (1 + used) })
  }
  // an output that is not full is dead space again
  if (deadBytes < slotBytes * (1 + leastDeadShare)) return []
  return ranked.sort((one, other) => other.score - one.score).map(({ victim }) => victim)
}

/** What copying the segment gives back at least. */
const deadBytesOf = ({ end }: Segment, liveBytes: number, slotBytes: number): number =>
  slotBytes - liveBytes - Math.min(slotBytes - end, slotBytes * tailShare)

/** Log age of its newest frame. */
const ageOf = ({ spans }: Segment): number => {
  let age = 0
  for (let row = 0; row < spans.size; row++) age = Math.max(age, spans.lastLogAge(row))
  return age
}
