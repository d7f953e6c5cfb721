import type { AcknowledgedLoss, AuditLoss } from '../broker/audit-report.ts'
import type { LossAcknowledgement } from '../broker/uplink-summary.ts'
import type { StateLog } from '../state/state-log.ts'
import type { KnownLoss, UplinkView } from '../state/uplink.ts'
import type { Lane } from './lane.ts'

/** Of one partition: each partition of its target may have lost its start, its end and more. */
const mostLosses = 200
const mostCharacters = 100

interface Parts {
  readonly state: StateLog
  readonly view: UplinkView
}

/** Losses of this topic, and not of an earlier one of its name, that somebody knows of. */
const knownLosses = (view: UplinkView, { topic, partition, topicId }: Lane): readonly KnownLoss[] => {
  const known = view.acknowledged(topic, partition)
  return known?.topicId === topicId ? known.losses : []
}

/** Why the loss may not be acknowledged; undefined: it may. */
export const acknowledgementFault = (
  view: UplinkView,
  lane: Lane | undefined,
  { topic, partition, loss, records, by }: LossAcknowledgement,
): string | undefined => {
  const where = `partition ${partition} of ${topic}`
  if (lane === undefined) return `${where} does not go up; uplink status lists those that do`
  if (!Number.isSafeInteger(records) || records <= 0) return `records is how many are lost, as the audit says`
  if (by.length > mostCharacters || loss.length > mostCharacters)
    return `names have at most ${mostCharacters} characters`
  const others = knownLosses(view, lane).filter(({ name }) => name !== loss)
  return others.length < mostLosses
    ? undefined
    : `${where}: ${mostLosses} losses are known already, and no more are kept`
}

/** Remembers that somebody knows of the loss; durable when it resolves. */
export const acknowledgeLoss = async (
  { state, view }: Parts,
  lane: Lane,
  { loss, records, by }: LossAcknowledgement,
): Promise<void> => {
  const { topic, partition, topicId } = lane
  const others = knownLosses(view, lane).filter(({ name }) => name !== loss)
  const losses = [...others, { name: loss, records, by, logAge: state.logAge }]
  state.write([view.putAcknowledged(topic, partition, { topicId, losses })])
  await state.durable(view)
}

/** The losses that nobody knows of, or of fewer records, and those that somebody does. */
export const withoutKnown = (
  { state, view }: Parts,
  lane: Lane,
  found: readonly AuditLoss[],
): { readonly losses: readonly AuditLoss[]; readonly acknowledged: readonly AcknowledgedLoss[] } => {
  const known = new Map(knownLosses(view, lane).map(loss => [loss.name, loss]))
  const acknowledged = found.flatMap(loss => {
    const one = known.get(loss.name)
    if (one === undefined || one.records < loss.records) return []
    return [{ ...loss, by: one.by, agoSeconds: Math.max(0, state.logAge - one.logAge) }]
  })
  const names = new Set(acknowledged.map(({ name }) => name))
  return { losses: found.filter(({ name }) => !names.has(name)), acknowledged }
}
