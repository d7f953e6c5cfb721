import type { Broker } from '../broker/broker.ts'
import type { UplinkSummary } from '../broker/uplink-summary.ts'
import type { Cluster, TopicMetadata } from '../client/cluster.ts'
import { KafkaError } from '../client/kafka-error.ts'
import { BatchRefused } from '../client/produce-together.ts'
import { TransactionalProducer } from '../client/transactional-producer.ts'
import type { RetentionClass } from '../config/metered-windows.ts'
import type { Settings } from '../config/settings.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { StateLog } from '../state/state-log.ts'
import type { UplinkView } from '../state/uplink.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { recordCountOf } from '../wire/kafka/record-batch.ts'
import type { Caps } from './caps.ts'
import { type Cargo, type Loading, load } from './cargo.ts'
import { ExpectedOffsets } from './expected-offsets.ts'
import { inherit } from './inheritance.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import { leftOutOf, recordLeftOut, spansFrom } from './left-out.ts'
import type { LinkRate } from './link-rate.ts'
import type { OffsetMaps } from './offset-maps.ts'
import type { Packing, PackingRules } from './packing.ts'
import { PositionsTopic } from './positions-topic.ts'
import { carry, type RoundProducer } from './round.ts'
import { TailProducer } from './tail-producer.ts'
import type { Tails } from './tails.ts'
import { TargetRefused, type TargetTopics } from './target-topics.ts'
import { UplinkStopped } from './uplink-errors.ts'
import type { UpstreamPositions } from './upstream-positions.ts'

/** What outlives sessions. */
export interface SessionParts {
  readonly broker: Broker
  readonly settings: Settings
  readonly gatewayId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly cluster: Cluster
  readonly upstream: UpstreamPositions
  readonly lanes: Lanes
  readonly targets: TargetTopics
  readonly packing: Packing
  readonly rate: LinkRate
  readonly caps: Caps
  readonly state: StateLog
  readonly view: UplinkView
  readonly tails: Tails
  readonly offsetMaps: OffsetMaps
}

/** How a session brings up what it has, and why no better way. */
export interface Delivery {
  readonly kind: NonNullable<UplinkSummary['delivery']>
  readonly reason: string | undefined
}

/**
 * A time in which this log is the only one that sends under its name, and knows what is upstream. Whatever is thrown ends it: only the positions
 * that the next session reads say what became of the round.
 */
export class Session {
  readonly #parts: SessionParts
  readonly #producer: RoundProducer
  readonly #positions: PositionsTopic
  readonly #loading: Loading
  /** Why there are no transactions; undefined: there are. */
  readonly #withoutTransactions: string | undefined
  readonly #expected: ExpectedOffsets | undefined
  #isBehind = false

  /** Reads what is upstream, fences who sent before, and reads what came in between. Throws what the client and `UpstreamPositions` throw. */
  static async open(parts: SessionParts): Promise<Session> {
    const { settings, broker, cluster, upstream, tails, logger } = parts
    upstream.check()
    cluster.forgetAll()
    const { 'uplink.positions.topic': topic, 'uplink.replication.factor': replicas } = settings
    const positions = await PositionsTopic.open(cluster, topic, broker.logId, replicas, upstream.place)
    if (positions.hasGrown)
      logger.warn(
        positions.source,
        'the topic of positions has got more partitions: those of this log stay in this one',
      )
    // looked at before anybody is fenced: a clone must not stop the log that it was made of
    await readPositions(parts, positions, { look: true })
    const produceTimeoutMs = settings['uplink.request.timeout.ms']
    let producer: RoundProducer
    let withoutTransactions: string | undefined
    try {
      const transactionTimeoutMs = settings['uplink.transaction.timeout.ms']
      const options = { transactionalId: broker.logId, transactionTimeoutMs, produceTimeoutMs }
      producer = await TransactionalProducer.open(cluster, options)
    } catch (error) {
      withoutTransactions = reasonAgainst(error, broker.logId)
      producer = new TailProducer(cluster, tails, produceTimeoutMs)
    }
    await tails.open(withoutTransactions === undefined ? 'leaves' : 'sends', positions.topicId)
    await readPositions(parts, positions)
    const ancestors = upstream.heirOf
    if (ancestors.length > 0) await inherit({ ...parts, positionsTopic: topic, ancestors })
    await upstream.claim()
    return new Session(parts, producer, positions, withoutTransactions)
  }

  private constructor(
    parts: SessionParts,
    producer: RoundProducer,
    positions: PositionsTopic,
    withoutTransactions: string | undefined,
  ) {
    this.#parts = parts
    this.#producer = producer
    this.#positions = positions
    this.#withoutTransactions = withoutTransactions
    this.#expected = withoutTransactions === undefined ? new ExpectedOffsets() : undefined
    const { packing } = parts
    this.#loading = {
      ...parts,
      targetOf: lane => this.#targetOf(lane),
      mayReorder: withoutTransactions === undefined,
      recordLeftOut: (lane, spans, judged) => recordLeftOut(parts, lane, spans, judged),
      onRecord: lane => spansFrom(leftOutOf(parts.view, lane), lane.next),
      isInDoubt: (lane, target) => this.#packingRules(lane, target).present.size > 0,
      packing: {
        readBytes: (lane, bytes) => packing.readBytes(lane, bytes),
        pack: (lane, target, stored, hole) =>
          packing.pack(lane, target, stored, hole, this.#packingRules(lane, target)),
      },
    }
  }

  get delivery(): Delivery {
    if (this.#withoutTransactions === undefined) return { kind: 'transactions', reason: undefined }
    const { unreadable } = this.#parts.tails
    return unreadable === undefined
      ? { kind: 'read-back', reason: this.#withoutTransactions }
      : { kind: 'at-least-once', reason: unreadable }
  }

  /** The last round had no room for all: the next one need not wait for more records. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** Brings one load of batches and their positions upstream; false: there was nothing to bring. */
  async round(): Promise<boolean> {
    const { broker, clock, rate, caps, upstream, tails, offsetMaps, gatewayId: gateway } = this.#parts
    const cargo = await load(this.#loading, caps.room(rate.roundBytes))
    this.#isBehind = cargo.some(({ hasMore }) => hasMore)
    if (cargo.length === 0) return false
    const heldBytes = cargo.reduce((sum, { outgoing }) => sum + outgoing.bytes, 0)
    broker.memory.take(heldBytes)
    try {
      const startsOf = (lane: Lane) => upstream.startsOf(lane)
      const isNamed = (lane: Lane) => this.#isNamed(lane)
      const place = { positions: this.#positions.source, logId: broker.logId, gateway, startsOf, isNamed }
      const carried = await carry({ producer: this.#producer, expected: this.#expected, clock, rate, ...place }, cargo)
      upstream.readThrough(this.#positions.placeAt(carried.positionsOffset))
      for (const [index, { lane }] of cargo.entries()) {
        const position = carried.positions[index]!
        const from = lane.next
        upstream.take(position)
        lane.sent(position)
        for (const { records, ms } of lane.durableTimes.acknowledged(lane.next, clock.monotonicMs()))
          broker.metrics.observe('uplinkDelay', ms / 1000, records)
        offsetMaps.note(lane, { from, central: carried.spans[index]! })
      }
      tails.positioned()
    } catch (error) {
      if (error instanceof BatchRefused && !error.retriable && !producerFaults.includes(error.code))
        this.#refuse(error, cargo)
      throw error
    } finally {
      broker.memory.give(heldBytes)
      caps.count(this.#parts.cluster.sentBytes, bytesByClass(cargo), clock.monotonicMs())
    }
    this.#count(cargo, heldBytes)
    return true
  }

  /** The topic that the lane goes to, once it is known what of the lane stands there. */
  async #targetOf(lane: Lane): Promise<TopicMetadata | undefined> {
    const { targets, packing, tails, settings } = this.#parts
    const target = await targets.find(lane.target, packing.newTarget(lane))
    if (target === undefined) return undefined
    await tails.ready(target, packing.reached(lane, target))
    const isRefused = this.#withoutTransactions !== undefined && settings['uplink.exactly.once'] === 'required'
    if (isRefused && tails.isUnreadable(target.name))
      throw new TargetRefused(
        `${tails.unreadable}, or set uplink.exactly.once=preferred (${this.#withoutTransactions})`,
      )
    return target
  }

  #isNamed({ target }: Lane): boolean {
    const { settings, tails } = this.#parts
    return this.#withoutTransactions === undefined ? settings['uplink.headers'] === 'full' : !tails.isUnreadable(target)
  }

  #packingRules(lane: Lane, target: TopicMetadata): PackingRules {
    const { packing, tails } = this.#parts
    const present = tails.present(lane, target, packing.reached(lane, target))
    return { named: this.#withoutTransactions !== undefined, present }
  }

  #count(cargo: readonly Cargo[], bytes: number): void {
    const { metrics } = this.#parts.broker
    metrics.add('uplinkRounds')
    metrics.add(
      'uplinkRecords',
      cargo.reduce((sum, { outgoing }) => sum + outgoing.records, 0),
    )
    metrics.add('uplinkBytes', bytes)
    const thinned = cargo.reduce((sum, { unsent }) => sum + (unsent.thinned ?? 0), 0)
    if (thinned > 0) metrics.add('uplinkLeftOut', thinned, 'thinned')
  }

  /** Whose batch it was stops, or all that may have had a record in it; the others go on. What is only too large together comes again in parts. */
  #refuse({ target, message, code, batch }: BatchRefused, cargo: readonly Cargo[]): void {
    const { topic } = this.#positions.source
    const reason = code === errorCodes.INVALID_TIMESTAMP ? `${message}; ${timestampAdvice(target.topic)}` : message
    if (target.topic === topic) {
      const isForbidden = code === errorCodes.TOPIC_AUTHORIZATION_FAILED
      throw new UplinkStopped(
        `${reason}${isForbidden ? `; allow WRITE on topic ${topic}` : ''}: without positions nothing goes up`,
      )
    }
    const { clock, packing, lanes } = this.#parts
    if (tooLarge.includes(code) && batch !== undefined && recordCountOf(batch) > 1) {
      packing.shrink(target.topic, batch.length)
      return
    }
    const nowMs = clock.monotonicMs()
    const mayHaveIt = (lane: Lane): boolean => lane.target === target.topic && packing.mayReach(lane, target.partition)
    const [suspect, ...others] = cargo.filter(({ lane }) => mayHaveIt(lane))
    const isKnown = suspect !== undefined && others.length === 0
    if (isKnown) suspect.lane.refused(reason, nowMs, suspect.alone)
    else for (const lane of lanes.all()) if (mayHaveIt(lane)) lane.refused(reason, nowMs)
  }
}

const bytesByClass = (cargo: readonly Cargo[]): ReadonlyMap<RetentionClass, number> => {
  const bytes = new Map<RetentionClass, number>()
  for (const { lane, outgoing } of cargo)
    bytes.set(lane.retentionClass, (bytes.get(lane.retentionClass) ?? 0) + outgoing.bytes)
  return bytes
}

const readPositions = async (
  { upstream }: SessionParts,
  positions: PositionsTopic,
  how: { readonly look?: boolean } = {},
): Promise<void> => {
  upstream.readThrough(await positions.read(upstream.place, position => upstream.take(position), how))
  upstream.check()
}

/** These say that the cluster gives this log no transactions: not to it, or to nobody. */
const refusals: readonly number[] = [
  errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  errorCodes.UNSUPPORTED_VERSION,
  errorCodes.INVALID_REQUEST,
]

/** Of a topic, or of a whole cluster. */
const tooLarge: readonly number[] = [errorCodes.MESSAGE_TOO_LARGE, errorCodes.RECORD_LIST_TOO_LARGE]

/** Brokers of Kafka 4 take nothing that is an hour ahead of their clock. */
const timestampAdvice = (topic: string): string =>
  `raise message.timestamp.after.max.ms of topic ${topic} upstream, or set its message.timestamp.type=LogAppendTime`

/** Another producer of this transactional id came in between. */
const fencings: readonly number[] = [errorCodes.INVALID_PRODUCER_EPOCH, errorCodes.PRODUCER_FENCED]

/** Of the producer and its transaction, not of the batch: another session begins both anew, whatever the batch has in it. */
const producerFaults: readonly number[] = [
  ...fencings,
  errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  errorCodes.DUPLICATE_SEQUENCE_NUMBER,
  errorCodes.UNKNOWN_PRODUCER_ID,
  errorCodes.INVALID_PRODUCER_ID_MAPPING,
  errorCodes.INVALID_TXN_STATE,
  errorCodes.TRANSACTION_ABORTABLE,
  // the right was taken: the next one goes without transactions
  errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
]

/** Why the cluster gives no transactions. Throws what says something else. */
const reasonAgainst = (error: unknown, logId: string): string => {
  if (!(error instanceof KafkaError) || error.retriable || fencings.includes(error.code)) throw error
  const isForbidden = error.code === errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  const reason = isForbidden ? `${error.message}; allow WRITE on transactional id ${logId}` : error.message
  if (refusals.includes(error.code)) return reason
  throw new UplinkStopped(`${reason}: without transactions nothing goes up`)
}
