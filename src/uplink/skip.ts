import type { Broker } from '../broker/broker.ts'
import type { UplinkSkip } from '../broker/uplink-summary.ts'
import type { StateLog } from '../state/state-log.ts'
import type { OffsetSpan, SkippedSpan, UplinkView } from '../state/uplink.ts'
import type { Lane } from './lane.ts'
import { covered, offsetsIn } from './track.ts'

/** Somebody who skips more often than this in one partition has another problem. */
const mostSpans = 100

/**
 * Why the batch may not be skipped now; undefined: it may. It is refused, and was not sent since: `retryAtMs` lies ahead, so that no round has
 * it under way or has ended in doubt about it.
 */
export const skipFault = (
  lane: Lane | undefined,
  skip: UplinkSkip,
  spans: number,
  nowMs: number,
): string | undefined => {
  const where = `partition ${skip.partition} of ${skip.topic}`
  if (lane === undefined) return `${where} does not go up; uplink status lists those that do`
  const { trouble } = lane
  if (trouble === undefined) return `${where} is not refused by the central cluster: there is nothing to skip`
  const { batch } = trouble
  if (batch === undefined)
    return `${where} waits: ${trouble.reason}; no batch of it was refused alone yet, ask again after the next attempt`
  if (spans >= mostSpans) return `${where}: ${mostSpans} batches were skipped already, and no more are remembered`
  if (batch.first !== skip.first || batch.last !== skip.last)
    return `${where}: what is refused is ${batch.first} to ${batch.last}, not ${skip.first} to ${skip.last}`
  if (trouble.retryAtMs <= nowMs || trouble.retryAtMs === Number.POSITIVE_INFINITY)
    return `${where} is tried again just now; ask again after that`
  return undefined
}

/** What was skipped of this topic, and not of an earlier one of its name. */
export const ownSpans = (view: UplinkView, { topic, partition, topicId }: Lane): readonly SkippedSpan[] =>
  view.skipped(topic, partition).filter(span => span.topicId === topicId)

/**
 * May the record never come upstream? An operator gave it up, or it has left this log: of a partition that lost records before they were sent
 * nobody knows which they were.
 */
export const isGivenUp = (
  lane: Lane,
  offset: number,
  { broker, view }: { readonly broker: Broker; readonly view: UplinkView },
): boolean => {
  const has = ({ first, last }: OffsetSpan): boolean => offset >= first && offset <= last
  if (ownSpans(view, lane).some(has)) return true
  const { budget = 0, retention = 0, damage = 0, removed = 0 } = lane.ledger.unsent
  const isGone = offset < broker.offsets(lane.id).logStart || broker.gaps(lane.id).some(has)
  return isGone && offset < lane.next && budget + retention + damage + removed > 0
}

/** Gives the batch up. The lane goes on once that is durable: what was skipped is never without its record. */
export const skipBatch = async (lane: Lane, state: StateLog, view: UplinkView): Promise<void> => {
  const { topic, partition, topicId, trouble } = lane
  const { batch, reason } = trouble!
  const span: SkippedSpan = { topicId, ...batch!, refusal: reason, logAge: state.logAge }
  state.write([view.putSkipped(topic, partition, [...ownSpans(view, lane), span])])
  lane.hold()
  await state.durable(view)
  passSpan(lane, span)
  lane.release()
}

/** The lane goes on behind what was given up. */
export const passSpan = (lane: Lane, { first, last }: OffsetSpan): void => {
  const hole = { first, end: last + 1 }
  lane.pass(hole, { skipped: offsetsIn(covered(lane.track, hole)) - offsetsIn(lane.track) })
}
