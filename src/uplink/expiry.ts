import type { Broker } from '../broker/broker.ts'
import type { Lane } from './lane.ts'
import type { NewSpan } from './left-out.ts'
import { holesIn } from './track.ts'
import { addUnsent, unsentIn } from './unsent.ts'

/** Makes the record of spans durable, in place of what was on record from the lane's next one on: of all of it, or up to `judged`. */
export type RecordLeftOut = (lane: Lane, spans: readonly NewSpan[], judged?: number) => Promise<void>

/**
 * The lane goes on behind what has outlived the `ttl` of its rule, by the life of the log: no clock on a wall decides it. The record of what is given
 * up is durable before.
 */
export const passExpired = async (broker: Broker, lane: Lane, record: RecordLeftOut): Promise<void> => {
  const { ttlMs } = lane.rule
  const { logStart, highWatermark } = broker.offsets(lane.id)
  const first = Math.max(lane.next, logStart)
  const oldest = broker.logAge - ttlMs / 1000
  if (oldest <= 0 || first >= highWatermark) return
  const { logAges } = await broker.read(lane.id, first, 1)
  if (logAges[0] === undefined || logAges[0] >= Math.floor(oldest)) return
  const [hole] = holesIn(lane.track, highWatermark)
  const end = Math.min(await broker.findOffsetByLogAge(lane.id, oldest), hole?.end ?? 0)
  if (end <= first) return
  await record(lane, [{ first, last: end - 1, records: end - first, reason: 'expired' }])
  broker.metrics.add('uplinkLeftOut', end - first, 'expired')
  const lost = unsentIn(broker, lane.id, { first: lane.next, end: first, records: 0 })
  lane.pass({ first: lane.next, end }, addUnsent(lost, { expired: end - first }))
  // whatever was refused of it is behind
  lane.release()
}
