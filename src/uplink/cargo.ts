import type { Broker } from '../broker/broker.ts'
import type { TopicMetadata } from '../client/cluster.ts'
import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Uuid } from '../core/uuid.ts'
import type { Clock } from '../platform/clock.ts'
import type { CentralSpan, LeftOutSpan, OffsetSpan, Unsent } from '../state/uplink.ts'
import { nextOffsetOf } from '../wire/kafka/record-batch.ts'
import type { Room } from './caps.ts'
import { passExpired, type RecordLeftOut } from './expiry.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { NewSpan } from './left-out.ts'
import type { Outgoing } from './outgoing-batches.ts'
import type { LoadedHole, Packing } from './packing.ts'
import { TargetRefused } from './target-topics.ts'
import { Thinning } from './thinning.ts'
import { covered, type Hole, holesIn, newestFirst, type Track } from './track.ts'
import { addUnsent, unsentIn } from './unsent.ts'

/** What one lane sends in one round. */
export interface Cargo {
  readonly lane: Lane
  readonly outgoing: Outgoing
  readonly targetId: Uuid
  /** What is upstream of the lane afterwards. */
  readonly track: Track
  /** What that has more than before, and is not in `outgoing`. */
  readonly unsent: Unsent
  /** One stored batch and nothing else: what is refused of it is known. */
  readonly alone: OffsetSpan | undefined
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
  /** What is on record as left out of the lane from its next record on: by a round that failed. */
  readonly onRecord: (lane: Lane) => readonly LeftOutSpan[]
  /** Is something of the lane upstream of which no position says so? */
  readonly isInDoubt: (lane: Lane, target: TopicMetadata) => boolean
  /** Records that were read back upstream are matched in their order: then nothing goes before older records. */
  readonly mayReorder: boolean
  readonly packing: {
    readonly pack: (
      lane: Lane,
      target: TopicMetadata,
      stored: AsyncIterable<Buffer>,
      hole: LoadedHole,
    ) => Promise<Outgoing>
    readonly readBytes: Packing['readBytes']
  }
}

/** Partitions of targets that the positions of one round name: they are one batch, and brokers take none of more than 1 MiB. */
const mostPlaces = 20_000
/** Records that one load thins, so that it ends. */
const mostThinned = 100_000
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
  let places = 0
  for (const turns of lanes.takeTurns()) {
    let hasMore = false
    for (const [index, lane] of turns.entries()) {
      const isFull = isForHigher || places >= mostPlaces || room.left(lane.retentionClass) <= 0
      const isFree = lane.trouble === undefined || loaded.every(({ alone }) => alone === undefined)
      if (isFull || !isFree) {
        lanes.queue(lane)
        continue
      }
      lane.isUnderWay = true
      const cargo = await loadLane(loading, lane, room.share(lane.retentionClass, turns.length - index))
      lane.isUnderWay = cargo !== undefined
      if (cargo === undefined) continue
      loaded.push(cargo)
      places += 1 + Object.keys(lane.ledger.central).length
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

const loadLane = async (loading: Loading, lane: Lane, maxBytes: number): Promise<Cargo | undefined> => {
  const { broker, clock, lanes } = loading
  try {
    const target = await loading.targetOf(lane)
    if (target === undefined) {
      clock.after(creationMs, () => lanes.queue(lane))
      return undefined
    }
    // what stands upstream has not expired: positions have to say so first
    const isInDoubt = loading.isInDoubt(lane, target)
    if (!isInDoubt) await passExpired(broker, lane, loading.recordLeftOut)
    const { highWatermark } = broker.offsets(lane.id)
    const stretches = await loadHoles(loading, lane, target, maxBytes)
    const leftOut = stretches.flatMap(stretch => stretch.leftOut)
    await loading.recordLeftOut(lane, leftOut, isInDoubt ? stretches.at(-1)?.end : undefined)
    const track = stretches.reduce(covered, lane.track)
    const outgoing = together(stretches.map(stretch => stretch.outgoing))
    if (outgoing.records > 0) {
      const unsent = stretches.map(stretch => stretch.unsent).reduce(addUnsent, {})
      const [alone] = stretches.map(stretch => stretch.alone)
      const hasMore = alone === undefined && holesIn(track, highWatermark).length > 0
      return { lane, outgoing, targetId: target.id, track, unsent, alone, hasMore }
    }
    // nothing but markers and what compaction emptied
    for (const stretch of stretches) lane.pass(stretch, stretch.unsent)
    for (const { records, reason } of leftOut) broker.metrics.add('uplinkLeftOut', records, reason)
    if (lanes.lag(lane) > 0) lanes.queue(lane)
  } catch (error) {
    if (error instanceof TargetRefused || error instanceof UnreadableRecords) {
      lane.refused(error.message, clock.monotonicMs(), error instanceof UnreadableRecords ? error.alone : undefined)
      lanes.queue(lane)
    } else if (error instanceof BrokerError) {
      // evicted meanwhile, or the device is slow: its turn comes again, for what was thinned already, too
      lane.keyCounts.clear()
      clock.after(creationMs, () => lanes.queue(lane))
    } else throw error
  }
  return undefined
}

/** What is loaded of a hole, from its start on. */
interface Stretch extends Hole {
  readonly outgoing: Outgoing
  readonly unsent: Unsent
  readonly alone: OffsetSpan | undefined
  /** What was left out of it by a rule. */
  readonly leftOut: readonly NewSpan[]
}

/** Records that cannot be read. */
class UnreadableRecords extends Error {
  readonly alone: OffsetSpan | undefined

  constructor({ message }: MalformedFrame, alone: OffsetSpan | undefined) {
    super(message)
    this.alone = alone
  }
}

/** Holes in the order of the lane's rule, until there is enough. Of a lane in trouble one batch, of its newest or of its oldest hole. */
const loadHoles = async (
  loading: Loading,
  lane: Lane,
  target: TopicMetadata,
  maxBytes: number,
): Promise<readonly Stretch[]> => {
  const holes = holesToLoad(loading, lane, maxBytes)
  if (lane.trouble !== undefined) {
    const suspect = lane.suspectsOldest ? holes.toSorted((one, other) => one.first - other.first)[0] : holes[0]
    return suspect === undefined ? [] : [await loadHole(loading, lane, target, suspect, maxBytes)]
  }
  const stretches: Stretch[] = []
  let leftBytes = maxBytes
  for (const hole of holes) {
    const stretch = await loadHole(loading, lane, target, hole, leftBytes)
    stretches.push(stretch)
    leftBytes -= stretch.outgoing.bytes
    if (leftBytes <= 0 || stretch.end < hole.end || stretch.leftOut.length > 0) break
  }
  return stretches
}

const holesToLoad = ({ broker, mayReorder }: Loading, { id, rule, track }: Lane, maxBytes: number): readonly Hole[] => {
  const { logStart, highWatermark } = broker.offsets(id)
  if (rule.order === 'oldest-first' || !mayReorder) return holesIn(track, highWatermark)
  const recordBytes = broker.sizeBytes(id) / Math.max(1, highWatermark - logStart)
  const fitting = Math.max(1, Math.floor(maxBytes / recordBytes))
  return newestFirst(track, { logStart, end: highWatermark }, fitting)
}

/** What of the hole is so far behind that it is thinned: not its newest records. */
const thinnedPart = (broker: Broker, { id, rule: { thin }, trouble }: Lane, { first, end }: Hole): Hole | undefined => {
  if (thin === undefined || trouble !== undefined) return undefined
  const { logStart, highWatermark } = broker.offsets(id)
  const last = Math.min(end, highWatermark - thin.lag, Math.max(first, logStart) + mostThinned)
  return last > Math.max(first, logStart) ? { first, end: last } : undefined
}

const loadHole = async (
  { broker, packing, onRecord }: Loading,
  lane: Lane,
  target: TopicMetadata,
  whole: Hole,
  limitBytes: number,
): Promise<Stretch> => {
  const part = thinnedPart(broker, lane, whole)
  const hole = part ?? whole
  const known = onRecord(lane)
  const oneOf = part === undefined ? undefined : lane.rule.thin?.oneOf
  const isJudged = oneOf !== undefined || known.length > 0
  const thinning = isJudged ? new Thinning(lane.keyCounts, oneOf, known) : undefined
  const start = Math.max(hole.first, broker.offsets(lane.id).logStart)
  let alone: OffsetSpan | undefined
  let at = Math.min(start, hole.end)
  const stored = async function* (): AsyncGenerator<Buffer> {
    while (at < hole.end) {
      const read = await broker.read(lane.id, at, packing.readBytes(lane, limitBytes))
      const [first] = read.batches
      if (lane.trouble !== undefined && first !== undefined) {
        at = Math.min(nextOffsetOf(first), hole.end)
        alone = { first: start, last: at - 1 }
        yield first
        return
      }
      if (read.nextOffset <= at) return
      at = Math.min(read.nextOffset, hole.end)
      yield* read.batches
    }
  }
  try {
    const outgoing = await packing.pack(lane, target, stored(), { ...hole, limitBytes, thinning })
    const end = Math.min(outgoing.next ?? at, hole.end)
    const dropped = thinning?.dropped ?? 0
    const thinned: NewSpan = { first: start, last: end - 1, records: dropped, reason: 'thinned' }
    const leftOut = [...(thinning?.expired === undefined ? [] : [thinning.expired]), ...(dropped > 0 ? [thinned] : [])]
    const judged = leftOut.reduce((sum, { records }) => sum + records, 0)
    const others = unsentIn(broker, lane.id, { first: hole.first, end, records: outgoing.records + judged })
    const unsent = leftOut.reduce((sum, { reason, records }) => addUnsent(sum, { [reason]: records }), others)
    return { first: hole.first, end, outgoing, unsent, alone, leftOut }
  } catch (error) {
    throw error instanceof MalformedFrame ? new UnreadableRecords(error, alone) : error
  }
}

const together = (loads: readonly Outgoing[]): Outgoing => ({
  batches: loads.flatMap(({ batches }) => batches),
  present: presentInAll(loads),
  records: loads.reduce((sum, { records }) => sum + records, 0),
  bytes: loads.reduce((sum, { bytes }) => sum + bytes, 0),
  storedBytes: loads.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  next: undefined,
})

const presentInAll = (loads: readonly Outgoing[]): ReadonlyMap<number, CentralSpan> => {
  const all = new Map<number, CentralSpan>()
  for (const [partition, { first, last, records }] of loads.flatMap(({ present }) => [...present])) {
    const before = all.get(partition) ?? { first, last, records: 0 }
    const ends = { first: Math.min(before.first, first), last: Math.max(before.last, last) }
    all.set(partition, { ...ends, records: before.records + records })
  }
  return all
}
