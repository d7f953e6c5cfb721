import type { StateLog } from '../state/state-log.ts'
import type { LeftOut, LeftOutSpan, UplinkView } from '../state/uplink.ts'
import type { Lane } from './lane.ts'

/** Older ones are summed. */
const mostSpans = 20

export const nothingLeftOut = (topicId: string): LeftOut => ({ topicId, spans: [], older: { spans: 0, records: 0 } })

/**
 * With another span behind those below `next`. What was written of offsets from there on did not come to pass: the round failed, and they are judged
 * anew. Spans that touch are one, but for the new one as long as it may fail, too.
 */
export const withSpan = (known: LeftOut, next: number, span: LeftOutSpan): LeftOut => {
  const spans = [...joinedSpans(settled(known, next).spans), span]
  const surplus = spans.splice(0, Math.max(0, spans.length - mostSpans))
  const records = surplus.reduce((sum, one) => sum + one.records, known.older.records)
  return { ...known, spans, older: { spans: known.older.spans + surplus.length, records } }
}

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

/** Durable when it resolves: only then the lane may go on behind it. Without a span: what was written for a round that failed is taken back. */
export const recordLeftOut = async (
  { state, view }: { readonly state: StateLog; readonly view: UplinkView },
  lane: Lane,
  span: Omit<LeftOutSpan, 'logAge'> | undefined,
): Promise<void> => {
  const known = leftOutOf(view, lane)
  const isSettled = known.spans.every(({ last }) => last < lane.next)
  if (span === undefined && isSettled) return
  const after =
    span === undefined ? settled(known, lane.next) : withSpan(known, lane.next, { ...span, logAge: state.logAge })
  state.write([view.putLeftOut(lane.topic, lane.partition, after)])
  await state.durable(view)
}
