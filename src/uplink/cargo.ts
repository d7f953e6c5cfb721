import type { Broker } from '../broker/broker.ts'
import type { TopicMetadata } from '../client/cluster.ts'
import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Uuid } from '../core/uuid.ts'
import type { Clock } from '../platform/clock.ts'
import type { Unsent } from '../state/uplink.ts'
import { nextOffsetOf } from '../wire/kafka/record-batch.ts'
import type { Room } from './caps.ts'
import { passExpired, type RecordLeftOut } from './expiry.ts'
import type { Lane, LaneSpan } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { Outgoing } from './outgoing-batches.ts'
import type { Packing } from './packing.ts'
import { TargetRefused } from './target-topics.ts'
import { unsentIn } from './unsent.ts'

/** What one lane sends in one round. */
export interface Cargo {
  readonly lane: Lane
  readonly outgoing: Outgoing
  readonly targetId: Uuid
  /** Where the lane goes on afterwards. */
  readonly next: number
  /** What lies before that and is not in `outgoing`. */
  readonly unsent: Unsent
  /** One stored batch and nothing else: what is refused of it is known. */
  readonly alone: LaneSpan | undefined
  /** Of what the lane had there was no room for all. */
  readonly hasMore: boolean
}

export interface Loading {
  readonly broker: Broker
  readonly clock: Clock
  readonly lanes: Lanes
  /** The topic that the lane goes to; undefined: it will be there soon. Throws `TargetRefused`. */
  readonly targetOf: (lane: Lane) => Promise<TopicMetadata | undefined>
  readonly recordLeftOut: RecordLeftOut
  readonly packing: {
    readonly pack: (
      lane: Lane,
      target: TopicMetadata,
      stored: AsyncIterable<Buffer>,
      limitBytes: number,
    ) => Promise<Outgoing>
    readonly readBytes: Packing['readBytes']
  }
}

/** A topic made just now is asked for again after this. */
const creationMs = 200

/**
 * Batches of the lanes whose turn it is, about as much as there is room for; of a lower priority what a higher one leaves. Of a lane in trouble
 * goes one stored batch, of one such lane at a time, so that the batch that is refused is found.
 */
export const load = async (loading: Loading, room: Room): Promise<readonly Cargo[]> => {
  const { lanes } = loading
  const loaded: Cargo[] = []
  let isForHigher = false
  for (const turns of lanes.takeTurns()) {
    let hasMore = false
    for (const [index, lane] of turns.entries()) {
      const isFull = isForHigher || room.left(lane.retentionClass) <= 0
      const isFree = lane.trouble === undefined || loaded.every(({ alone }) => alone === undefined)
      if (isFull || !isFree) {
        lanes.queue(lane)
        continue
      }
      const cargo = await loadLane(loading, lane, room.share(lane.retentionClass, turns.length - index))
      if (cargo === undefined) continue
      loaded.push(cargo)
      room.take(lane.retentionClass, cargo.outgoing.bytes)
      // a cap of its class is no reason for others to wait
      if (cargo.hasMore && room.left(lane.retentionClass) > 0) hasMore = true
    }
    isForHigher ||= hasMore
  }
  // behind those that had to wait, or the first would have every round of a slow link
  for (const { lane } of loaded) lanes.queue(lane)
  return loaded
}

const loadLane = async (
  { broker, clock, lanes, targetOf, recordLeftOut, packing }: Loading,
  lane: Lane,
  maxBytes: number,
): Promise<Cargo | undefined> => {
  let alone: LaneSpan | undefined
  try {
    const target = await targetOf(lane)
    if (target === undefined) {
      clock.after(creationMs, () => lanes.queue(lane))
      return undefined
    }
    await passExpired(broker, lane, recordLeftOut)
    const { logStart, highWatermark } = broker.offsets(lane.id)
    const isAlone = lane.trouble !== undefined
    const start = Math.max(lane.next, logStart)
    let end = start
    const stored = async function* (): AsyncGenerator<Buffer> {
      while (end < highWatermark) {
        const read = await broker.read(lane.id, end, packing.readBytes(lane, maxBytes))
        const [first] = read.batches
        if (isAlone && first !== undefined) {
          end = nextOffsetOf(first)
          alone = { first: start, last: end - 1 }
          yield first
          return
        }
        if (read.nextOffset <= end) return
        end = read.nextOffset
        yield* read.batches
      }
    }
    const outgoing = await packing.pack(lane, target, stored(), maxBytes)
    const nextOffset = outgoing.next ?? end
    const hasMore = !isAlone && nextOffset < highWatermark
    const stretch = { first: lane.next, end: nextOffset, records: outgoing.records }
    const unsent = unsentIn(broker, lane.id, stretch)
    if (outgoing.records > 0) return { lane, outgoing, targetId: target.id, next: nextOffset, unsent, alone, hasMore }
    // nothing but markers and what compaction emptied
    if (nextOffset > lane.next) lane.pass(nextOffset, unsent)
    if (lanes.lag(lane) > 0) lanes.queue(lane)
  } catch (error) {
    if (error instanceof TargetRefused || error instanceof MalformedFrame) {
      lane.refused(error.message, clock.monotonicMs(), error instanceof MalformedFrame ? alone : undefined)
      lanes.queue(lane)
    } else if (error instanceof BrokerError) {
      // evicted meanwhile, or the device is slow: its turn comes again
      clock.after(creationMs, () => lanes.queue(lane))
    } else throw error
  }
  return undefined
}
