import { duration } from '../config/quantities.ts'
import { topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import { isSystemTopic } from '../wire/mqtt/topic-name.ts'

/** Where a replay begins in each partition: at the log start, at an offset, or with what was stored in the last `ageMs`. */
export type ReplayStart = { readonly offset: number } | { readonly ageMs: number }

/** The parts of a filter `$replay/{start}/{filter}`. */
export interface ReplayFilter {
  readonly start: ReplayStart
  readonly filter: string
}

const replayPrefix = '$replay/'
const durations = duration()

/** Does the text ask for a replay? Whether it says so in words that are understood tells `replayFilterOf`. */
export const isReplay = (text: string): boolean => text.startsWith(replayPrefix)

/** Undefined: it is malformed, or asks for topics that are not stored because they begin with `$`. */
export function replayFilterOf(text: string): ReplayFilter | undefined {
  const end = text.indexOf('/', replayPrefix.length)
  if (end < 0) return undefined
  const start = startOf(text.slice(replayPrefix.length, end))
  const filter = text.slice(end + 1)
  if (start === undefined || topicFilterFault(filter) !== undefined || isSystemTopic(filter)) return undefined
  return { start, filter }
}

/** `all`, `@` and an offset, or a duration with its unit. */
function startOf(text: string): ReplayStart | undefined {
  if (text === 'all') return { offset: 0 }
  if (/^@\d{1,15}$/.test(text)) return { offset: Number(text.slice(1)) }
  const parsed = /^\d+(\.\d+)?[a-z]+$/.test(text) ? durations.parse(text) : undefined
  return parsed !== undefined && 'value' in parsed ? { ageMs: parsed.value } : undefined
}
