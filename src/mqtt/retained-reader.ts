import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import type { PublishState } from './publish-state.ts'

/** Retained topics that are looked through in one turn of the event loop. */
const topicsPerTurn = 1024

/** What a new subscriber gets, as packets of the session engine: only what is on the device, and nothing when the log has failed. */
export async function* retainedPublishes(
  state: PublishState,
  filters: readonly string[],
  clock: Clock,
): AsyncGenerator<object> {
  if (state.retained.size === 0) return
  try {
    await state.retainedDurable()
  } catch (error) {
    if (error instanceof BrokerError) return
    throw error
  }
  for (const filter of filters) {
    for await (const topic of matchingTopics(state, filter, clock)) {
      const found = state.retained.get(topic)
      if (found === undefined) continue
      const { payload, qos, properties, expiresLogAge } = found
      // the engine counts by the wall clock, which may have jumped since the publish: it gets what is left from now on
      const leftMs = expiresLogAge === undefined ? 0 : (expiresLogAge - state.logAge) * 1000
      const expiry = expiresLogAge === undefined ? {} : { messageExpiry: clock.wallMs() + leftMs }
      yield { cmd: 'publish', topic, payload, qos, retain: true, ...(properties && { properties }), ...expiry }
    }
  }
}

/** Of those that are there at the start: what is published while a slow subscriber takes them would go on for ever. */
async function* matchingTopics(state: PublishState, filter: string, clock: Clock): AsyncGenerator<string> {
  if (!/[+#]/.test(filter)) {
    yield filter
    return
  }
  let looked = 0
  for (const topic of state.retained.topics()) {
    if (filterMatches(filter, topic)) yield topic
    if (++looked % topicsPerTurn === 0) await new Promise<void>(resolve => clock.afterIo(resolve))
  }
}
