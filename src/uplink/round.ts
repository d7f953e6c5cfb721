import type { TopicPartition } from '../client/partition-offsets.ts'
import type { PartitionBatch } from '../client/produce-together.ts'
import type { TransactionalProducer } from '../client/transactional-producer.ts'
import { assert } from '../core/assert.ts'
import type { Clock } from '../platform/clock.ts'
import type { CentralSpan, StartOffset } from '../state/uplink.ts'
import { compressBatch, encodeBatch } from '../wire/kafka/batch-encoding.ts'
import type { Cargo } from './cargo.ts'
import type { ExpectedOffsets } from './expected-offsets.ts'
import type { Lane } from './lane.ts'
import { carried, joined } from './ledger.ts'
import type { LinkRate } from './link-rate.ts'
import { encodePosition, type Position } from './position.ts'
import { placeOf, type Track } from './track.ts'

/** Begins a round, stores its batches and then its positions, and ends it. */
export type RoundProducer = Pick<TransactionalProducer, 'begin' | 'send' | 'commit'>

export interface RoundParts {
  readonly producer: RoundProducer
  readonly clock: Clock
  readonly rate: LinkRate
  /** Undefined: positions must not stand before what they speak of, because nothing takes both back together. */
  readonly expected: ExpectedOffsets | undefined
  readonly logId: string
  readonly gateway: string
  /** The starts of the log that a position of the lane names. */
  readonly startsOf: (lane: Lane) => readonly StartOffset[]
  /** Each record of the lane names its origin, and stands upstream once and in the order in which it was sent. */
  readonly isNamed: (lane: Lane) => boolean
  /** Where positions are written. */
  readonly positions: TopicPartition
}

/** What a round brought upstream. */
export interface Carried {
  /** One for each cargo, in the same order. */
  readonly positions: readonly Position[]
  /** Likewise, by partition of the target. */
  readonly spans: readonly ReadonlyMap<number, CentralSpan>[]
  /** Offset of the first of their records. */
  readonly positionsOffset: number
}

interface Parcel extends PartitionBatch {
  readonly cargo: Cargo
  readonly count: number
}

/**
 * Carries the cargo upstream in one transaction, its positions with it: in the last wave where it is known where the records will stand, otherwise
 * behind their answers. When this throws, all of it is there or nothing, and only the positions topic knows.
 */
export const carry = async (parts: RoundParts, cargo: readonly Cargo[]): Promise<Carried> => {
  assert(cargo.length > 0, 'a transaction is opened with its batches in hand')
  const { producer, expected, positions: place, clock, rate } = parts
  const parcels = cargo.flatMap(parcelsOf)
  await producer.begin([...distinct(parcels), place])
  const foreseen = parcels.length === 0 ? undefined : expected?.of(parcels)
  const early = foreseen === undefined ? undefined : await positionsAt(parts, cargo, parcels, foreseen)
  const delivered = await deliver(parts, parcels, early?.parcel)
  const isForeseen = foreseen?.every((offset, index) => offset === delivered.offsets[index]) === true
  const found = isForeseen ? early! : await positionsAt(parts, cargo, parcels, delivered.offsets)
  let positionsOffset = delivered.positionsOffset
  if (!isForeseen) {
    const sentMs = clock.monotonicMs()
    positionsOffset = (await producer.send([found.parcel]))[0]
    rate.answered(clock.monotonicMs() - sentMs)
  }
  const endedMs = clock.monotonicMs()
  await producer.commit()
  if (isForeseen) rate.answered(clock.monotonicMs() - endedMs)
  expected?.committed(parcels, delivered.offsets)
  return { ...found, positionsOffset: positionsOffset! }
}

/** The positions of the cargo with its parcels at these offsets, and the batch that says them. */
const positionsAt = async (
  parts: RoundParts,
  cargo: readonly Cargo[],
  parcels: readonly Parcel[],
  offsets: readonly number[],
): Promise<Omit<Carried, 'positionsOffset'> & { readonly parcel: PartitionBatch }> => {
  const central = new Map<Cargo, Map<number, CentralSpan>>(cargo.map(one => [one, new Map(one.outgoing.present)]))
  for (const [index, { cargo: owner, partition, count }] of parcels.entries()) {
    const [spans, first] = [central.get(owner)!, offsets[index]!]
    spans.set(partition, joined(spans.get(partition), { first, last: first + count - 1, records: count }))
  }
  const spans = [...central.values()]
  const positions = cargo.map((one, index) => positionAfter(parts, one, spans[index]!))
  const wallMs = parts.clock.wallMs()
  const records = encodeBatch(positions.map(one => encodePosition(parts.logId, one, wallMs)))
  return { positions, spans, parcel: { ...parts.positions, batch: await compressBatch(records, 'zstd') } }
}

const positionAfter = (
  { gateway, startsOf, isNamed }: RoundParts,
  { lane, targetId, unsent, track }: Cargo,
  central: ReadonlyMap<number, CentralSpan>,
): Position => ({
  topic: lane.topic,
  partition: lane.partition,
  topicId: lane.topicId,
  ...placeOf(track),
  ...carried(lane.ledger, {
    ...{ target: lane.target, targetId, unsent, central },
    namedFrom: isNamed(lane) && isInOrder(lane.track) && isInOrder(track) ? lane.next : undefined,
  }),
  gateway,
  starts: startsOf(lane),
})

const isInOrder = ({ ahead }: Track): boolean => ahead.length === 0

const parcelsOf = (cargo: Cargo): Parcel[] =>
  cargo.outgoing.batches.map(({ partition, count, batch }) => ({
    topic: cargo.lane.target,
    partition,
    batch,
    count,
    cargo,
  }))

/**
 * Brings the parcels up, those of a partition in order, with at most a window of bytes under way, or one wave; `last` goes with the last wave. The
 * first wave goes alone: a cluster that still ends the transaction before takes nothing of this one yet, and would have the next wave before the first.
 */
const deliver = async (
  { producer, clock, rate }: RoundParts,
  parcels: readonly Parcel[],
  last: PartitionBatch | undefined,
): Promise<{ readonly offsets: readonly number[]; readonly positionsOffset: number | undefined }> => {
  const offsets = new Map<PartitionBatch, number>()
  const underWay = new Set<Promise<void>>()
  let underWayBytes = 0
  let storedBytes = 0
  const send = async (wave: readonly PartitionBatch[], bytes: number): Promise<void> => {
    const startedMs = clock.monotonicMs()
    const storedBefore = storedBytes
    const isAlone = underWayBytes === 0
    underWayBytes += bytes
    const found = await producer.send(wave)
    underWayBytes -= bytes
    storedBytes += bytes
    rate.acknowledged(storedBytes - storedBefore, clock.monotonicMs() - startedMs, isAlone)
    for (const [index, one] of wave.entries()) offsets.set(one, found[index]!)
  }
  for (const { wave, isLast } of wavesOf(parcels, () => rate.waveBytes)) {
    const whole = isLast && last !== undefined ? [...wave, last] : wave
    const bytes = bytesOf(whole)
    while (underWay.size > 0 && (storedBytes === 0 || underWayBytes + bytes > rate.windowBytes))
      await Promise.race(underWay)
    // one that has failed stays, for whoever looks next
    const sent: Promise<void> = send(whole, bytes).then(() => void underWay.delete(sent))
    sent.catch(() => undefined)
    underWay.add(sent)
  }
  await Promise.all(underWay)
  assert(
    parcels.every(one => offsets.has(one)),
    'a transaction is ended once all that its positions speak of is stored',
  )
  const positionsOffset = last === undefined ? undefined : offsets.get(last)
  return { offsets: parcels.map(one => offsets.get(one)!), positionsOffset }
}

/** Parcels in runs that go out together: some `waveBytes` but at least one parcel, and at most one of a partition, as a request has it. */
function* wavesOf(
  parcels: readonly Parcel[],
  waveBytes: () => number,
): Generator<{ readonly wave: readonly Parcel[]; readonly isLast: boolean }> {
  let left = parcels
  while (left.length > 0) {
    const wave: Parcel[] = []
    const later: Parcel[] = []
    const partitions = new Set<string>()
    let roomBytes = waveBytes()
    for (const parcel of left) {
      const partition = `${parcel.partition}/${parcel.topic}`
      const fits = wave.length === 0 || parcel.batch.length <= roomBytes
      if (fits && !partitions.has(partition)) {
        wave.push(parcel)
        roomBytes -= parcel.batch.length
      } else later.push(parcel)
      partitions.add(partition)
    }
    yield { wave, isLast: later.length === 0 }
    left = later
  }
}

const distinct = (parcels: readonly Parcel[]): TopicPartition[] => {
  const partitions = new Map(parcels.map(({ topic, partition }) => [`${partition}/${topic}`, { topic, partition }]))
  return [...partitions.values()]
}

const bytesOf = (batches: readonly PartitionBatch[]): number =>
  batches.reduce((sum, { batch }) => sum + batch.length, 0)
