import { firstTopicPartitionId } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'

/** A log start that is to move up. */
export interface Cut {
  readonly log: PartitionLog
  readonly start: number
}

/** By class, lower goes first. What all have read goes before what somebody may still want, of whatever class but bulk. */
const ranks = { bulk: 0, read: 1, normal: 2, critical: 3 } as const

/**
 * Which first batches go next: of the lowest rank (bulk, read by all its groups, normal, critical), those in the segment where the oldest of them
 * stand. Empty when nothing may go.
 */
export const chooseEviction = (logs: Iterable<PartitionLog>): Cut[] => {
  const candidates: PartitionLog[] = []
  const spans: PartitionSpan[] = []
  const candidateRanks: number[] = []
  let best = 0
  for (const log of logs) {
    const span = firstSpan(log)
    if (span === undefined) continue
    const rank = rankOf(log, span)
    const bestRank = candidateRanks[best] ?? Number.POSITIVE_INFINITY
    if (rank < bestRank || (rank === bestRank && isOlder(span, spans[best]!))) best = spans.length
    candidates.push(log)
    spans.push(span)
    candidateRanks.push(rank)
  }
  const cuts: Cut[] = []
  for (const [index, span] of spans.entries()) {
    if (span.segment !== spans[best]!.segment || candidateRanks[index] !== candidateRanks[best]) continue
    cuts.push({ log: candidates[index]!, start: span.endOffset })
  }
  return cuts
}

/** Where the part of `[logStart, start)` begins that not every group has read; `start` when all of it was read. */
export const unreadFrom = ({ logStart, retention }: PartitionLog, start: number): number =>
  Math.min(start, Math.max(logStart, retention?.readThrough() ?? 0))

/** Its records may go before they are deleted: of a partition that is only compacted the newest record of each key stays for ever. */
export const isEvictable = ({ id, compaction }: PartitionLog): boolean =>
  id >= firstTopicPartitionId && (compaction === undefined || compaction.alsoDeletes)

/** Its first batches, where they may go. */
const firstSpan = (log: PartitionLog): PartitionSpan | undefined => {
  if (!isEvictable(log)) return undefined
  const span = log.spans.at(log.spanFrom(log.logStart))
  return span?.segment.sealed && span.segment.hasFooter ? span : undefined
}

const rankOf = ({ retention }: PartitionLog, span: PartitionSpan): number => {
  if (retention === undefined) return ranks.normal
  if (retention.class === 'bulk') return ranks.bulk
  return retention.readThrough() >= span.endOffset ? ranks.read : ranks[retention.class]
}

/** By log age; in the same second by the place in the log. */
const isOlder = (one: PartitionSpan, other: PartitionSpan): boolean => {
  if (one.firstLogAge !== other.firstLogAge) return one.firstLogAge < other.firstLogAge
  if (one.segment.isCold !== other.segment.isCold) return one.segment.isCold
  return one.segment.sequence < other.segment.sequence
}
