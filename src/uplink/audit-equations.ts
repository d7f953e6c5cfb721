import type { AuditLoss } from '../broker/audit-report.ts'
import type { Uuid } from '../core/uuid.ts'
import { ZERO_UUID } from '../core/uuid.ts'
import type { UpstreamPosition } from '../state/uplink.ts'
import { centralRecords, type Ledger } from './ledger.ts'
import { endOf, offsetsIn, type Track, trackOf } from './track.ts'
import { unsentInAll } from './unsent.ts'

/** A topic of the central cluster as it is now. */
export interface TargetFacts {
  readonly id: Uuid
  /** By partition; undefined: not asked for, or not there. */
  readonly offsets: ReadonlyMap<number, { readonly logStart: number; readonly logEnd: number }>
  /** How it deletes by itself; undefined: it may not be asked. */
  readonly retention:
    | { readonly deletes: boolean; readonly compacts: boolean; readonly ms: number; readonly bytes: number }
    | undefined
}

/** What is known of a partition that goes up. */
export interface PartitionFacts {
  readonly topicId: Uuid
  readonly highWatermark: number
  /** What is upstream, and its ledger: as it was before the positions were read. */
  readonly track: Track
  readonly ledger: Ledger
  /** As the topic of positions says. */
  readonly position: UpstreamPosition | undefined
  /** Where it was sent; undefined: there is no such topic. */
  readonly target: TargetFacts | undefined
  /** Milliseconds since the oldest record was made, where all of them are still here. */
  readonly oldestAgeMs: number | undefined
}

export interface Judgement {
  readonly notes: readonly string[]
  readonly unexplained: readonly string[]
  /** What the central cluster has lost, though no reason for it is known: it stays so, whatever goes up from now on. */
  readonly losses: readonly AuditLoss[]
}

/** Compares what the gateway knows with what the central cluster says. */
export const judge = (facts: PartitionFacts): Judgement => {
  const notes: string[] = []
  const unexplained: string[] = []
  const losses: AuditLoss[] = []
  const { track, ledger, highWatermark, topicId } = facts
  // a position of an earlier topic of this name is none
  const position = facts.position?.topicId === topicId ? facts.position : undefined
  unexplained.push(...imbalance(track, ledger, 'here'))
  const end = endOf(track)
  if (end > highWatermark) unexplained.push(`sent through ${end - 1}, but the log ends before ${highWatermark}`)
  if (position === undefined) {
    if (ledger.records > 0)
      unexplained.push(`${ledger.records} records were acknowledged, but the topic of positions has no position of it`)
    return { notes, unexplained, losses }
  }
  unexplained.push(...imbalance(trackOf(position), position, 'in the topic of positions'))
  if (position.records < ledger.records) {
    const went = `${ledger.records} records were acknowledged, but the topic of positions says ${position.records}`
    unexplained.push(`${went}: it went back`)
  }
  const last = endOf(trackOf(position)) - 1
  if (last >= highWatermark)
    unexplained.push(`the topic of positions says ${last}, but the log ends before ${highWatermark}`)
  const { renamed } = position.elsewhere
  if (renamed > 0) notes.push(`${renamed} records went to topics that earlier settings named (uplink.rename)`)
  const gone = goneTargets(facts.target, position)
  if (gone !== undefined) losses.push(gone)
  if (isThere(facts.target, position)) judgeTarget(facts.target, facts.oldestAgeMs, position, notes, losses)
  return { notes, unexplained, losses }
}

/** Offsets that the position names are sent or have a reason, and what was sent went somewhere. */
const imbalance = (track: Track, ledger: Ledger, where: string): string[] => {
  const found: string[] = []
  const offsets = offsetsIn(track)
  const open = offsets - ledger.records - unsentInAll(ledger.unsent)
  if (open !== 0)
    found.push(
      `${where}: of ${offsets} offsets ${ledger.records} were sent, and ${Math.abs(open)} ${open > 0 ? 'have no reason' : 'too many have one'}`,
    )
  const { renamed, remade } = ledger.elsewhere
  const arrived = centralRecords(ledger) + renamed + remade
  if (arrived !== ledger.records)
    found.push(`${where}: ${ledger.records} records were sent, but ${arrived} have a place upstream`)
  return found
}

/** The topic that the position speaks of is there. */
export const isThere = (target: TargetFacts | undefined, { targetId }: UpstreamPosition): target is TargetFacts =>
  target !== undefined && !isAnother(target.id, targetId)

/** Records that went to topics that were deleted upstream since. */
const goneTargets = (target: TargetFacts | undefined, position: UpstreamPosition): AuditLoss | undefined => {
  const { remade } = position.elsewhere
  const earlier = remade === 0 ? [] : [`${remade} records went to an earlier target that is gone upstream`]
  const last = isThere(target, position) ? 0 : centralRecords(position)
  const name = position.target
  const text =
    target === undefined
      ? `topic ${name} is not there: ${last} records were acknowledged in it`
      : `topic ${name} was deleted upstream and made again: ${last} records went to the one before`
  const texts = last === 0 ? earlier : [text, ...earlier]
  return texts.length === 0 ? undefined : { name: 'target', records: remade + last, text: texts.join('; ') }
}

const judgeTarget = (
  target: TargetFacts,
  oldestAgeMs: number | undefined,
  position: UpstreamPosition,
  notes: string[],
  losses: AuditLoss[],
): void => {
  const name = position.target
  for (const [partition, span] of Object.entries(position.central)) {
    const offsets = target.offsets.get(Number(partition))
    const where = `partition ${partition} of ${name}`
    const lose = (what: string, records: number, text: string): void => {
      losses.push({ name: `${what}/${position.targetId}/${partition}`, records, text: `${where} ${text}` })
    }
    if (offsets === undefined) {
      lose('partition', span.records, `is not there: ${span.records} records were acknowledged in it`)
      continue
    }
    const { logStart, logEnd } = offsets
    if (logEnd <= span.last) {
      const most = Math.min(span.records, span.last + 1 - logEnd)
      // as soon as more has gone up behind it, an end that is lost is another loss
      lose(
        `end/${span.last}`,
        most,
        `ends before ${logEnd} upstream, but ${span.last} was acknowledged: records are lost there`,
      )
    }
    if (logStart <= span.first) continue
    const most = Math.min(span.records, logStart - span.first)
    const gone = `begins at ${logStart} upstream: up to ${most} of ${span.records} records have left it`
    const reason = retentionReason(target, oldestAgeMs)
    if (reason === undefined) lose('start', most, `${gone}, and not by its retention`)
    else notes.push(`${where} ${gone} (${reason})`)
  }
}

/** Brokers before 2.8 have no ids. */
const isAnother = (one: Uuid, other: Uuid): boolean => one !== other && one !== ZERO_UUID && other !== ZERO_UUID

/** Why the cluster may have deleted records by itself; undefined: it may not have. */
const retentionReason = ({ retention }: TargetFacts, oldestAgeMs: number | undefined): string | undefined => {
  if (retention === undefined) return 'how long it keeps them cannot be read there'
  const { deletes, ms, bytes } = retention
  if (!deletes) return undefined
  if (bytes >= 0) return `retention.bytes=${bytes} there`
  if (ms < 0 || (oldestAgeMs !== undefined && oldestAgeMs < ms)) return undefined
  return `retention.ms=${ms} there`
}
