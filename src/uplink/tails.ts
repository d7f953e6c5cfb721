import type { Broker } from '../broker/broker.ts'
import type { Cluster, TopicMetadata } from '../client/cluster.ts'
import { type FetchedBatches, fetchBatches } from '../client/fetch-batches.ts'
import { ConnectionLost, KafkaError, UnreadableBatch } from '../client/kafka-error.ts'
import { earliestOffset, latestOffset, offsetFor } from '../client/partition-offsets.ts'
import { type PartitionBatch, partitionKey } from '../client/produce-together.ts'
import { newIdentity } from '../client/producer-identity.ts'
import type { Logger } from '../platform/logger.ts'
import { type StateLog, writeInOrder } from '../state/state-log.ts'
import type { UplinkView, UpstreamTail } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'
import type { Ancestor } from '../storage/meta.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { baseOffsetOf, hasValidCrc, isControl, isTransactional, nextOffsetOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords } from '../wire/kafka/records.ts'
import { commonEndOfStart } from './inheritance.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import { originOf, type RecordOrigin } from './origin-headers.ts'
import type { CentralPlace } from './outgoing-batches.ts'
import { signAsNobody, Tail } from './tail.ts'

export interface TailsParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: UplinkView
  readonly cluster: Cluster
  readonly lanes: Lanes
  readonly logger: Logger
  /** The logs that this one was made of, oldest first; absent: none. */
  readonly ancestors?: readonly Ancestor[]
}

/** What became of transactions upstream: `sends` while there are none, `leaves` once there are. */
export type TailsUse = 'sends' | 'leaves'

const readBytes = 1 << 20
const maxUnpackedBytes = 128 << 20
/** Partitions that are asked for at once. */
const atOnce = 50
const maxWaitMs = 500
/** A leader that answers so often without what it has is not waited for. */
const mostEmptyAnswers = 10
const nothing: ReadonlyMap<number, CentralPlace> = new Map()

const hasCode = (error: unknown, code: number): boolean => error instanceof KafkaError && error.code === code

/**
 * Exactly once without transactions (decision 062): where this log's records end in each partition upstream. What a session left in doubt is
 * read back from there and matched by the headers that name each record's origin.
 */
export class Tails {
  readonly #parts: TailsParts
  readonly #tails = new Map<string, Tail>()
  /** Sent to, and not yet in a position. */
  readonly #underWay = new Set<Tail>()
  /** Their start is newer than the copy in the log, or they are gone: undefined. */
  readonly #uncopied = new Map<Tail, UpstreamTail | undefined>()
  /** Some of what is not copied must be before anything is sent: a crash would forget where to read. */
  #mustCopy = false
  /** Why nothing can be matched: for each target, or for all of them. */
  readonly #unreadable = new Map<string, string>()
  #withoutProducer: string | undefined
  #producerId: number | undefined
  #use: TailsUse = 'sends'

  constructor(parts: TailsParts) {
    this.#parts = parts
  }

  /** Why records of some targets may come twice; undefined: of none. */
  get unreadable(): string | undefined {
    return this.#unreadable.values().next().value
  }

  isUnreadable(target: string): boolean {
    return this.#unreadable.has(target)
  }

  /** Begins a session, with the cluster whose positions topic has this id. */
  async open(use: TailsUse, positionsId: string): Promise<void> {
    const { view, state, broker, cluster } = this.#parts
    this.#use = use
    for (const tail of this.#underWay) tail.doubt()
    this.#underWay.clear()
    this.#unreadable.clear()
    this.#withoutProducer = undefined
    const known = view.producer(broker.logId)
    if (use === 'leaves') {
      if (known === undefined) return
      // should it come back, nothing of before is to be taken for its own
      state.write([view.removeProducer(broker.logId)])
      for (const tail of this.#tails.values()) tail.doubt()
      return
    }
    this.#producerId = known?.positionsId === positionsId ? known.producerId : undefined
    if (this.#producerId !== undefined) return
    this.#tails.clear()
    this.#uncopied.clear()
    try {
      const identity = await newIdentity(cluster)
      if (identity === undefined) throw new KafkaError(errorCodes.UNSUPPORTED_VERSION, 'producer id')
      const { producerId } = identity
      state.write([view.putProducer(broker.logId, { positionsId, producerId })])
      await state.durable(view)
      this.#producerId = producerId
    } catch (error) {
      if (!(error instanceof KafkaError) || error.retriable) throw error
      this.#withoutProducer = error.message
    }
  }

  /** The tails of these partitions are known when it resolves, or the target is `unreadable`. */
  async ready(target: TopicMetadata, partitions: readonly number[]): Promise<void> {
    if (this.#withoutProducer !== undefined) this.#unreadable.set(target.name, this.#withoutProducer)
    if (this.#unreadable.has(target.name)) return
    const unread = partitions.filter(partition => !this.#tailOf(target, partition)?.isRead)
    const known = unread.filter(partition => this.#use === 'sends' || this.#keptOf(target, partition) !== undefined)
    try {
      for (let at = 0; at < known.length; at += atOnce)
        await allEnded(known.slice(at, at + atOnce).map(partition => this.#know(target, partition)))
    } catch (error) {
      if (!hasCode(error, errorCodes.TOPIC_AUTHORIZATION_FAILED)) throw error
      this.#unreadable.set(target.name, `${(error as Error).message}; allow READ on topic ${target.name}`)
      return
    }
    await this.#copyAtOnce()
  }

  /** Records of the lane that stand upstream, though no position says so, by their offsets here. */
  present(lane: Lane, target: TopicMetadata, partitions: readonly number[]): ReadonlyMap<number, CentralPlace> {
    const found = partitions
      .map(partition => this.#tailOf(target, partition)?.present(lane) ?? nothing)
      .filter(({ size }) => size > 0)
    return found.length < 2 ? (found[0] ?? nothing) : new Map(found.flatMap(places => [...places]))
  }

  /** Gives the batch its place behind what stands in its partition; none where that cannot be read. */
  sign(target: PartitionBatch): void {
    const tail = this.#tails.get(partitionKey(target))
    if (tail?.isRead) {
      tail.sign(target.batch)
      this.#underWay.add(tail)
    } else signAsNobody(target.batch)
  }

  /** The leader took the batch, or one of the same sequences: of an unsettled tail it is read back to see which. Throws `KafkaError`. */
  async stored(target: PartitionBatch, baseOffset: number): Promise<void> {
    const tail = this.#tails.get(partitionKey(target))
    if (tail === undefined || !this.#underWay.has(tail)) return
    if (!tail.isSettled) {
      const { batches } = await this.#fetch(tail, baseOffset, 1)
      const found = batches.find(batch => baseOffsetOf(batch) === baseOffset)
      if (found === undefined || !(await areSame(found, target.batch)))
        throw new KafkaError(errorCodes.DUPLICATE_SEQUENCE_NUMBER, `${placeOf(tail)} took an earlier session's batch`)
    }
    tail.isSettled = true
    tail.stored(target.batch, baseOffset)
  }

  /** The leader did not take a batch because of its place. */
  refused(target: PartitionBatch, code: number): void {
    const tail = this.#tails.get(partitionKey(target))
    if (tail !== undefined && code !== errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER) tail.isForgotten = true
  }

  /** Positions upstream say now what the lanes have there. */
  positioned(): void {
    const { lanes } = this.#parts
    const isPast = (lane: Lane, lastFound: number): boolean =>
      lane.next > lastFound || lanes.find(lane.topic, lane.partition) !== lane
    for (const tail of this.#tails.values()) {
      if (!this.#underWay.has(tail) && !tail.isAwaited) continue
      if (!tail.positioned(isPast)) continue
      if (this.#use === 'leaves') this.#leave(tail)
      else this.#uncopied.set(tail, tail.start)
    }
    this.#underWay.clear()
  }

  /** What is newer than the copy in the log; to be written behind the positions. */
  changes(): readonly StateChange[] {
    const { view } = this.#parts
    return [...this.#uncopied].map(
      ([
        {
          target: { topic, partition },
        },
        start,
      ]) => (start === undefined ? view.removeTail(topic, partition) : view.putTail(topic, partition, start)),
    )
  }

  /** These changes are written. */
  copied(): void {
    this.#uncopied.clear()
  }

  /** Of a topic of this name that is no more there is nothing to go on from. */
  #tailOf(target: TopicMetadata, partition: number): Tail | undefined {
    const tail = this.#tails.get(keyOf(target, partition))
    return tail?.start.topicId === target.id ? tail : undefined
  }

  async #know(target: TopicMetadata, partition: number): Promise<void> {
    const key = keyOf(target, partition)
    const tail = this.#tailOf(target, partition) ?? (await this.#open(target, partition))
    if (!tail.isRead) await this.#read(tail)
    this.#tails.set(key, tail)
    if (this.#use === 'leaves' && !tail.isAwaited) this.#leave(tail)
  }

  /** As it was kept, or where the partition ends before this log first sends to it. */
  async #open(target: TopicMetadata, partition: number): Promise<Tail> {
    const { cluster } = this.#parts
    const place = { topic: target.name, partition }
    const producerId = this.#producerId ?? -1
    const kept = this.#keptOf(target, partition)
    const own =
      kept === undefined || kept.producerId === producerId ? kept : { ...kept, producerId, epoch: 0, sequence: 0 }
    if (own !== undefined) return new Tail(place, own)
    const offset = (await offsetFor(cluster, place, latestOffset)) ?? 0
    // what may not be read back is better known now
    await fetchBatches(cluster, place, offset, { maxBytes: 1, maxWaitMs: 0 })
    const tail = new Tail(place, { topicId: target.id, producerId, epoch: 0, offset, sequence: 0 })
    tail.isRead = true
    tail.isSettled = true
    this.#startsAnew(tail)
    return tail
  }

  #keptOf({ name, id }: TopicMetadata, partition: number): UpstreamTail | undefined {
    const kept = this.#tails.get(keyOf({ name }, partition))?.start ?? this.#parts.view.tail(name, partition)
    return kept?.topicId === id ? kept : undefined
  }

  async #read(tail: Tail): Promise<void> {
    tail.rewind()
    if (tail.isForgotten) this.#beginEpoch(tail, tail.start.offset)
    let end: number | undefined
    while (end === undefined || tail.end < end) {
      const { batches, highWatermark } = await this.#fetch(tail, tail.end, readBytes).catch(error =>
        this.#resume(tail, error),
      )
      end ??= highWatermark
      for (const batch of batches) if (nextOffsetOf(batch) > tail.end) await this.#match(tail, batch)
    }
    tail.isRead = true
  }

  /** Batches from the offset on; none only at the end. */
  async #fetch(tail: Tail, offset: number, maxBytes: number): Promise<FetchedBatches> {
    for (let left = mostEmptyAnswers; left > 0; left--) {
      const fetched = await fetchBatches(this.#parts.cluster, tail.target, offset, {
        maxBytes,
        maxWaitMs: left === mostEmptyAnswers ? 0 : maxWaitMs,
      })
      if (fetched.batches.length > 0 || fetched.highWatermark <= offset) return fetched
    }
    throw new ConnectionLost(`${placeOf(tail)} cannot be read from offset ${offset} on`)
  }

  /** Part of what was to be read is gone: reading goes on behind it. */
  async #resume(tail: Tail, error: unknown): Promise<FetchedBatches> {
    if (!hasCode(error, errorCodes.OFFSET_OUT_OF_RANGE)) throw error
    const { cluster, logger, broker } = this.#parts
    const first = (await offsetFor(cluster, tail.target, earliestOffset)) ?? 0
    const end = (await offsetFor(cluster, tail.target, latestOffset)) ?? 0
    const { offset } = tail.start
    const about = { ...tail.target, offset, first, end }
    logger.warn(about, 'what was to be read back is gone: some records may be upstream twice')
    broker.metrics.add('uplinkTailsLost')
    this.#beginEpoch(tail, Math.min(Math.max(offset, first), end))
    return { batches: [], highWatermark: end, aborted: [] }
  }

  #beginEpoch(tail: Tail, offset: number): void {
    tail.beginEpoch(offset)
    this.#startsAnew(tail)
  }

  #startsAnew(tail: Tail): void {
    this.#uncopied.set(tail, tail.start)
    this.#mustCopy = true
  }

  async #match(tail: Tail, batch: Buffer): Promise<void> {
    if (!hasValidCrc(batch)) throw new UnreadableBatch(`${placeOf(tail)}: the checksum of a batch does not fit`)
    // positions say what became of transactions
    if (!isControl(batch) && !isTransactional(batch)) {
      for (const { centralOffset, origin } of await originsOf(batch)) {
        const lane = this.#laneOf(origin)
        if (lane !== undefined && origin.offset >= lane.next) tail.found(lane, origin.offset, centralOffset)
      }
    }
    tail.passed(batch, nextOffsetOf(batch))
  }

  /** The lane that the record is of; undefined: it is none of this log's, or of a topic that is no more. */
  #laneOf(origin: RecordOrigin): Lane | undefined {
    const lane = this.#parts.lanes.find(origin.topic, origin.partition)
    return lane?.topicId === origin.topicId && this.#isOurs(origin, lane) ? lane : undefined
  }

  /** This log sent the record, or one that it was made of sent it while their histories were one. */
  #isOurs({ logId, incarnation, offset }: RecordOrigin, { id }: Lane): boolean {
    const { broker, view, ancestors = [] } = this.#parts
    if (logId === broker.logId) return true
    const index = ancestors.findIndex(ancestor => ancestor.logId === logId)
    return index >= 0 && offset < (commonEndOfStart({ broker, view, ancestors }, id, incarnation, index) ?? 0)
  }

  #leave(tail: Tail): void {
    this.#tails.delete(partitionKey(tail.target))
    this.#uncopied.set(tail, undefined)
  }

  async #copyAtOnce(): Promise<void> {
    if (!this.#mustCopy) return
    const { state, view } = this.#parts
    writeInOrder(state, this.changes())
    this.copied()
    await state.durable(view)
    this.#mustCopy = false
  }
}

/** Resolves once all have ended; throws what the first threw that failed. */
export const allEnded = async (works: readonly Promise<void>[]): Promise<void> => {
  for (const ended of await Promise.allSettled(works)) if (ended.status === 'rejected') throw ended.reason
}

const keyOf = ({ name }: Pick<TopicMetadata, 'name'>, partition: number): string =>
  partitionKey({ topic: name, partition })

const placeOf = ({ target }: Tail): string => `partition ${target.partition} of ${target.topic}`

/** The records that say where they are from. */
const originsOf = async (batch: Buffer): Promise<readonly { centralOffset: number; origin: RecordOrigin }[]> => {
  const origins: { centralOffset: number; origin: RecordOrigin }[] = []
  const cursor = await decompressRecords(batch, maxUnpackedBytes)
  while (cursor.next()) {
    const origin = originOf(cursor.headers())
    if (origin !== undefined) origins.push({ centralOffset: cursor.offset, origin })
  }
  return origins
}

/** Do both hold the same records of the same log, whichever start of it sent them? */
const areSame = async (one: Buffer, other: Buffer): Promise<boolean> => {
  const named = async (batch: Buffer) =>
    JSON.stringify((await originsOf(batch)).map(({ origin: { incarnation: _, ...record } }) => record))
  return (await named(one)) === (await named(other))
}
