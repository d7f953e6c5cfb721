import type { StateLog } from '../state/state-log.ts'
import type { LeftOut, LeftOutSpan, UplinkView } from '../state/uplink.ts'
import type { Lane } from './lane.ts'

/** Older ones are summed. */
const mostSpans = 20

export const nothingLeftOut = (topicId: string): LeftOut => ({ topicId, spans: [], older: { spans: 0, records: 0 } })

export type NewSpan = Omit<LeftOutSpan, 'logAge'>

/**
 * With other spans behind those below `next`. What was written of offsets from there on did not come to pass: the round failed, and they are judged
 * anew; but in doubt it holds from `judged` on, until that is known. Spans that touch are one, but for new ones as long as they may fail, too.
 */
export const withSpans = (
  known: LeftOut,
  next: number,
  added: readonly LeftOutSpan[],
  judged = Number.POSITIVE_INFINITY,
): LeftOut => {
  const spans = [...joinedSpans(settled(known, next).spans), ...added, ...spansFrom(known, judged)]
  const surplus = spans.splice(0, Math.max(0, spans.length - mostSpans))
  const records = surplus.reduce((sum, one) => sum + one.records, known.older.records)
  return { ...known, spans, older: { spans: known.older.spans + surplus.length, records } }
}

/** What is on record of offsets from there on. */
export const spansFrom = ({ spans }: LeftOut, from: number): LeftOutSpan[] =>
  spans
    .filter(({ last }) => last >= from)
    .map(one =>
      one.first >= from ? one : { ...one, first: from, records: Math.min(one.records, one.last - from + 1) },
    )

/** What came to pass of it. */
const settled = (known: LeftOut, next: number): LeftOut => ({
  ...known,
  spans: known.spans
    .filter(({ first }) => first < next)
    .map(one => (one.last < next ? one : { ...one, last: next - 1, records: Math.min(one.records, next - one.first) })),
})

/** Ascending spans, those that touch and have one reason together. */
export const joinedSpans = (spans: readonly LeftOutSpan[]): LeftOutSpan[] => {
  const joined: LeftOutSpan[] = []
  for (const span of spans) {
    const before = joined.at(-1)
    if (before?.reason === span.reason && before.last + 1 === span.first)
      joined[joined.length - 1] = { ...span, first: before.first, records: before.records + span.records }
    else joined.push(span)
  }
  return joined
}

/** What was left out of this topic, and not of an earlier one of its name. */
export const leftOutOf = (view: UplinkView, { topic, partition, topicId }: Lane): LeftOut => {
  const known = view.leftOut(topic, partition)
  return known?.topicId === topicId ? known : nothingLeftOut(topicId)
}

/**
 * Durable when it resolves: only then the lane may go on behind it. What was written for a round that failed is taken back, but in doubt what is not
 * `judged` again yet.
 */
export const recordLeftOut = async (
  { state, view }: { readonly state: StateLog; readonly view: UplinkView },
  lane: Lane,
  added: readonly NewSpan[],
  judged?: number,
): Promise<void> => {
  const known = leftOutOf(view, lane)
  if (added.length === 0 && spansFrom(known, lane.next).length === 0) return
  const { logAge } = state
  const spans = added.map(span => ({ ...span, logAge }))
  state.write([view.putLeftOut(lane.topic, lane.partition, withSpans(known, lane.next, spans, judged))])
  await state.durable(view)
}
