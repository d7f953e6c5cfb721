import type { Broker } from '../../broker/broker.ts'
import { type CommandOutcome, centralHeaders } from '../../broker/command-report.ts'
import type { DeviceDeliverySummary } from '../../broker/downlink-summary.ts'
import type { Topic } from '../../broker/topics.ts'
import type { DeliverRule } from '../../config/deliver.ts'
import { assert } from '../../core/assert.ts'
import type { PartitionId } from '../../core/brand.ts'
import { BrokerError } from '../../core/errors.ts'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import type { Metrics } from '../../core/metrics.ts'
import { type Clock, sleep, type Timer } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import { decompressRecords, type LogRecord } from '../../wire/kafka/records.ts'
import type { Stage } from '../exchange.ts'
import type { Publication } from '../publication.ts'
import type { Subscriptions } from '../subscriptions.ts'
import type { DeliveryLog } from './delivery-log.ts'
import { Receipt, type Verdict } from './receipt.ts'
import type { CommandSource } from './resumed-commands.ts'
import { mqttTopicOf, rulePublication } from './rule-publication.ts'

export interface DeviceDeliveryParts {
  readonly broker: Broker
  readonly subscriptions: Subscriptions
  readonly rule: DeliverRule
  readonly topic: Topic
  readonly partition: number
  readonly gatewayId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What a device that takes a publication answers, or nobody will. */
interface Hand {
  readonly offset: number
  receipt: Receipt | undefined
  /** Monotonic; Infinity: never. */
  expiresAtMs: number
  /** What is told of it, but for the result. */
  about: Omit<CommandOutcome, 'result' | 'reason'>
  /** A session goes on with the exchange of an earlier start. */
  isResumed: boolean
}

const readBytes = 64 * 1024
/** What one batch may decompress to. */
const decompressedBytes = 16 * 1024 * 1024
const waitMs = 60_000
const retryMs = 1000
/** Records of a partition that wait for their devices; what comes behind them waits in the log. */
const mostPending = 10_000
/** How soon a device that comes is noticed, and a record that has expired. */
const lookMs = 250
const pendingPerMs = 10
const abandoned: Verdict = { kind: 'abandoned' }

/**
 * One partition of a deliver rule with `ack: device`: a record has come to its end when every session that took it has acknowledged it, and one
 * has; or when it has expired, or was refused. Of the records for one MQTT topic one is in hand at a time, so that they arrive in order; those
 * for others go past it.
 */
export class DeviceDelivery implements CommandSource {
  readonly #parts: DeviceDeliveryParts
  readonly #id: PartitionId
  readonly #log: DeliveryLog
  /** MQTT topics by offset, ascending: what has not come to its end. */
  readonly #pending = new Map<number, string>()
  /** Their offsets by MQTT topic. */
  readonly #queues = new Map<string, number[]>()
  readonly #inHand = new Map<string, Hand>()
  /** MQTT topics that nobody subscribes to, and when their first record expires. */
  readonly #unwanted = new Map<string, number>()
  /** Offsets that a device has answered for in an exchange of an earlier start, before they were handed over again. */
  readonly #answered = new Set<number>()
  #next = 0
  #isStopped = false
  #isFull = false
  #stopWait: () => void = () => undefined
  #timer: Timer | undefined

  constructor(parts: DeviceDeliveryParts, log: (pending: () => Iterable<number>) => DeliveryLog) {
    this.#parts = parts
    this.#id = parts.topic.partitions[parts.partition]!
    this.#log = log(() => this.#pending.keys())
  }

  get summary(): DeviceDeliverySummary {
    const { rule } = this.#parts
    return { ...this.#fields, mqtt: rule.mqtt.text, pending: this.#pending.size, pendingTopics: this.#queues.size }
  }

  /** Delivers from where the log says, or from `first` when the rule has not begun, until it is stopped or the topic has gone. */
  async run(first: () => number): Promise<void> {
    this.#look()
    while (this.#isAlive) {
      try {
        if (this.#log.position === undefined) await this.#log.begin(first())
        await this.#load(this.#log.position!)
        while (this.#isAlive) await this.#readOn()
      } catch (error) {
        if (!this.#isAlive || !(error instanceof BrokerError)) {
          if (this.#isAlive) throw error
          return
        }
        this.#parts.logger.warn({ ...this.#fields, error: error.message }, 'deliver rule tries again')
        await sleep(this.#parts.clock, retryMs)
      }
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#stopWait()
  }

  get #isAlive(): boolean {
    return !this.#isStopped && this.#parts.broker.topics.findById(this.#parts.topic.id) !== undefined
  }

  get #fields() {
    const { topic, partition } = this.#parts
    return { topic: topic.name, partition }
  }

  /** What an earlier start has left behind, then what comes from the position on. */
  async #load(position: number): Promise<void> {
    for (const offset of this.#log.waiting) {
      if (offset >= position || this.#pending.has(offset)) continue
      const found = await this.#read(offset)
      if (!this.#isAlive) return
      if (found === undefined) this.#end(offset, this.#gone(offset))
      else this.#admit(offset, found.record)
    }
    this.#next = Math.max(this.#next, position)
  }

  /** Takes in what there is, and waits for more. */
  async #readOn(): Promise<void> {
    const { broker, clock, metrics, logger } = this.#parts
    if (this.#pending.size >= mostPending) {
      if (!this.#isFull)
        logger.warn({ ...this.#fields, records: mostPending }, 'so much waits for devices; no more is taken in')
      this.#isFull = true
      await sleep(clock, lookMs)
      return
    }
    this.#isFull = false
    const { logStart, highWatermark } = broker.offsets(this.#id)
    if (this.#next < logStart) {
      metrics.add('mqttDropped', logStart - this.#next, 'left the log before it was read')
      logger.error({ ...this.#fields, from: this.#next, to: logStart }, 'records left the log before a device had them')
      this.#next = logStart
    }
    if (this.#next >= highWatermark) {
      const wait = broker.waitForAdvance([this.#id], waitMs)
      this.#stopWait = wait.cancel
      await wait.advanced
      return
    }
    const { batches, nextOffset } = await broker.read(this.#id, this.#next, readBytes)
    for (const batch of batches) await this.#takeIn(batch)
    this.#next = nextOffset
  }

  async #takeIn(batch: Buffer): Promise<void> {
    const { metrics, logger } = this.#parts
    try {
      const cursor = await decompressRecords(batch, decompressedBytes)
      while (cursor.next()) if (cursor.offset >= this.#next) this.#admit(cursor.offset, cursor.record())
    } catch (error) {
      if (!(error instanceof MalformedFrame)) throw error
      metrics.add('mqttDropped', 1, 'deliver batch')
      logger.warn({ ...this.#fields, error: error.message }, 'deliver rule skips a batch that cannot be read')
    }
  }

  #admit(offset: number, record: LogRecord): void {
    const { rule, topic, gatewayId } = this.#parts
    if (this.#pending.has(offset)) return
    const mqttTopic = mqttTopicOf(rule, topic, record, gatewayId)
    if (mqttTopic === undefined) {
      this.#end(offset, { ...this.#about(offset, record), result: 'refused', reason: 'it gives no MQTT topic' })
      return
    }
    this.#pending.set(offset, mqttTopic)
    const queue = this.#queues.get(mqttTopic)
    if (queue === undefined) this.#queues.set(mqttTopic, [offset])
    else queue.push(offset)
    this.#handNext(mqttTopic)
  }

  /** The oldest record for the MQTT topic goes to whoever subscribes to it, unless one is in hand. */
  #handNext(mqttTopic: string): void {
    const offset = this.#queues.get(mqttTopic)?.[0]
    if (offset === undefined || this.#inHand.has(mqttTopic) || this.#log.isFull || !this.#isAlive) return
    const expiresAtMs = this.#unwanted.get(mqttTopic) ?? Number.POSITIVE_INFINITY
    this.#unwanted.delete(mqttTopic)
    const hand = { offset, receipt: undefined, expiresAtMs, about: this.#about(offset), isResumed: false }
    this.#inHand.set(mqttTopic, hand)
    void this.#hand(mqttTopic, hand)
  }

  async #hand(mqttTopic: string, hand: Hand): Promise<void> {
    const { rule, subscriptions, clock } = this.#parts
    const found = await this.#read(hand.offset)
    if (!this.#isAlive) return
    if (found === undefined) return this.#settle(mqttTopic, hand, this.#gone(hand.offset))
    const { record, receivedMs } = found
    hand.about = this.#about(hand.offset, record)
    const stage = this.#stageOf(mqttTopic, hand.offset)
    if (stage !== undefined && stage !== 'sent' && stage !== 'logging')
      return this.#settle(mqttTopic, hand, { ...hand.about, result: 'delivered' })
    hand.isResumed = stage !== undefined
    if (hand.isResumed) return
    const receipt = new Receipt(clock, verdict => this.#judged(mqttTopic, hand, verdict))
    const source = { partition: this.#id, offset: hand.offset }
    const publication = rulePublication(rule, mqttTopic, record, receivedMs, { receipt, source })
    // log age is coarse: what was worked out first holds
    hand.expiresAtMs = Math.min(hand.expiresAtMs, publication.expiresAtMs)
    hand.receipt = receipt
    if (clock.monotonicMs() >= hand.expiresAtMs) return this.#expire(mqttTopic, hand)
    if (this.#isWanted(mqttTopic)) subscriptions.audienceOf(mqttTopic).deliver(publication)
    receipt.handedOver()
  }

  /**
   * A session goes on with the QoS 2 exchange of an earlier start: the publication that it was, and its answer counts. Undefined where the record has
   * come to its end.
   */
  async resume(offset: number): Promise<Publication | undefined> {
    const { rule, topic, gatewayId, clock } = this.#parts
    if (!this.#log.isUnsettled(offset)) return undefined
    const found = await this.#read(offset)
    const mqttTopic = found && mqttTopicOf(rule, topic, found.record, gatewayId)
    if (found === undefined || mqttTopic === undefined) return undefined
    const receipt = new Receipt(clock, verdict => this.#judgedAgain(mqttTopic, offset, verdict))
    return rulePublication(rule, mqttTopic, found.record, found.receivedMs, {
      receipt,
      source: { partition: this.#id, offset },
    })
  }

  /** The answer may come before the record is taken in again, or while it waits to be handed over. */
  #judgedAgain(mqttTopic: string, offset: number, verdict: Verdict): void {
    const hand = this.#inHand.get(mqttTopic)
    if (hand?.offset === offset && hand.isResumed) this.#judged(mqttTopic, hand, verdict)
    else if (verdict.kind === 'delivered') this.#answered.add(offset)
  }

  /** How far an exchange of an earlier start has come; undefined: there is none. */
  #stageOf(mqttTopic: string, offset: number): Stage | undefined {
    if (this.#answered.delete(offset)) return 'received'
    const place = { partition: this.#id, offset }
    const { targets } = this.#parts.subscriptions.audienceOf(mqttTopic)
    for (const { session } of targets) {
      const stage = session.flow.stageAt(place, mqttTopic)
      if (stage !== undefined) return stage
    }
    return undefined
  }

  #judged(mqttTopic: string, hand: Hand, verdict: Verdict): void {
    if (this.#inHand.get(mqttTopic) !== hand) return
    const { kind } = verdict
    if (kind === 'abandoned') {
      this.#inHand.delete(mqttTopic)
      this.#unwanted.set(mqttTopic, hand.expiresAtMs)
    } else if (kind === 'refused') {
      const reason = `the device answered with reason code 0x${verdict.reasonCode.toString(16)}`
      this.#settle(mqttTopic, hand, { ...hand.about, result: 'refused', reason })
    } else this.#settle(mqttTopic, hand, { ...hand.about, result: kind })
  }

  #expire(mqttTopic: string, hand: Hand): void {
    hand.receipt?.close()
    this.#settle(mqttTopic, hand, { ...hand.about, result: 'expired' })
  }

  #settle(mqttTopic: string, hand: Hand, outcome: CommandOutcome): void {
    const queue = this.#queues.get(mqttTopic)!
    assert(queue.shift() === hand.offset, 'records for one MQTT topic end in order')
    if (queue.length === 0) this.#queues.delete(mqttTopic)
    this.#inHand.delete(mqttTopic)
    this.#end(hand.offset, outcome)
    this.#handNext(mqttTopic)
  }

  #end(offset: number, outcome: CommandOutcome): void {
    const { metrics, logger } = this.#parts
    this.#pending.delete(offset)
    this.#log.settle(offset, outcome)
    metrics.add('deviceDeliveries', 1, outcome.result)
    if (outcome.result === 'delivered') return
    const { result, reason } = outcome
    logger.warn({ ...this.#fields, offset, result, ...(reason && { reason }) }, 'a record did not reach its device')
  }

  /** Somebody is to answer, and nobody has too much to take already; what absent ones hold must leave room for those that come. */
  #isWanted(mqttTopic: string): boolean {
    const { targets, receivers } = this.#parts.subscriptions.audienceOf(mqttTopic)
    const asked = targets.filter(({ qos }) => qos > 0)
    if (asked.length === 0) return receivers.length > 0
    const mayHold = asked.some(({ session }) => session.isConnected || session.flow.hasSpareMemory)
    return mayHold && asked.every(({ session }) => !session.flow.isHalfFull)
  }

  /** Looks after what waits: who has come, what has expired. */
  #look(): void {
    const { clock } = this.#parts
    if (!this.#isAlive) return
    const nowMs = clock.monotonicMs()
    for (const [mqttTopic, expiresAtMs] of [...this.#unwanted])
      if (nowMs >= expiresAtMs || this.#isWanted(mqttTopic)) this.#handNext(mqttTopic)
    // the session has ended, and its exchange with it
    for (const [mqttTopic, hand] of [...this.#inHand])
      if (hand.isResumed && this.#stageOf(mqttTopic, hand.offset) === undefined)
        this.#judged(mqttTopic, hand, abandoned)
      else if (hand.receipt?.wasSent === false && nowMs >= hand.expiresAtMs) this.#expire(mqttTopic, hand)
    // of what a full log held up
    for (const mqttTopic of this.#queues.keys()) if (!this.#unwanted.has(mqttTopic)) this.#handNext(mqttTopic)
    this.#timer = clock.after(Math.max(lookMs, this.#unwanted.size / pendingPerMs), () => this.#look())
  }

  /** Undefined: it has left the log. */
  async #read(offset: number): Promise<{ readonly record: LogRecord; readonly receivedMs: number } | undefined> {
    const { broker, clock } = this.#parts
    try {
      const { batches, logAges } = await broker.read(this.#id, offset, 1)
      const cursor = batches[0] && (await decompressRecords(batches[0], decompressedBytes))
      while (cursor?.next())
        if (cursor.offset === offset) {
          const ageMs = Math.max(0, broker.logAge - logAges[0]!) * 1000
          return { record: cursor.record(), receivedMs: clock.monotonicMs() - ageMs }
        }
    } catch (error) {
      if (!(error instanceof BrokerError) && !(error instanceof MalformedFrame)) throw error
    }
    return undefined
  }

  #gone(offset: number): CommandOutcome {
    return { ...this.#about(offset), result: 'refused', reason: 'it left the log before a device had it' }
  }

  /** Where the record stands in the central cluster, if it came from there. */
  #about(offset: number, record?: LogRecord): Hand['about'] {
    const { topic, partition } = this.#parts
    const header = (name: string): Buffer | undefined =>
      record?.headers.find(({ key }) => key === name)?.value ?? undefined
    const central = header(centralHeaders.topic)
    const own = header(centralHeaders.key) ?? record?.key
    const key = own ? Buffer.from(own) : null
    if (central === undefined) return { key, topic: topic.name, partition, offset }
    const number = (name: string): number => Number(header(name)?.toString() ?? -1)
    return {
      key,
      topic: central.toString(),
      partition: number(centralHeaders.partition),
      offset: number(centralHeaders.offset),
    }
  }
}
