import type { Broker } from '../broker/broker.ts'
import type { DeviceDeliverySummary, FormerRule } from '../broker/downlink-summary.ts'
import type { Groups } from '../broker/groups/groups.ts'
import type { Topic } from '../broker/topics.ts'
import type { DeliverRule } from '../config/deliver.ts'
import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Metrics } from '../core/metrics.ts'
import { type Clock, sleep, type Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { DownlinkView } from '../state/downlink.ts'
import type { StateLog } from '../state/state-log.ts'
import { baseOffsetOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord } from '../wire/kafka/records.ts'
import { DeliveryLog } from './commands/delivery-log.ts'
import { DeviceDelivery } from './commands/device-delivery.ts'
import type { ResumedCommands } from './commands/resumed-commands.ts'
import { RuleAccounts } from './commands/rule-accounts.ts'
import { nameByPlace, ruleNameOf } from './commands/rule-name.ts'
import { mqttTopicOf, rulePublication } from './commands/rule-publication.ts'
import type { Distribution } from './distribution.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface DeliveriesParts {
  readonly broker: Broker
  readonly groups: Groups
  readonly distribution: Distribution
  readonly subscriptions: Subscriptions
  readonly commands: ResumedCommands
  readonly state: StateLog
  /** How far rules with `ack: device` have come. */
  readonly view: DownlinkView
  readonly rules: readonly DeliverRule[]
  /** What is kept of rules that are gone from the settings, minutes. */
  readonly retentionMinutes: number
  readonly gatewayId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const readBytes = 256 * 1024
/** What one batch may decompress to. */
const decompressedBytes = 16 * 1024 * 1024
const waitMs = 60_000
const retryMs = 1000
/** How often accounts of rules that are gone are looked at. */
const lookMs = 3_600_000

/**
 * Deliver rules: each publishes the new records of its topic to MQTT subscribers, partition by partition in order. Positions are
 * committed offsets of an internal group, committed after the records were handed over, so that a restart repeats rather than loses. A new rule
 * begins at the end of the topic, or at the start of a topic that is made later.
 */
export class Deliveries {
  readonly #parts: DeliveriesParts
  readonly #running = new Map<string, Promise<void>>()
  readonly #devices = new Set<DeviceDelivery>()
  readonly #accounts: RuleAccounts
  #look: Timer | undefined
  #stopped = false
  #started = false
  #stopWaits: (() => void)[] = []

  constructor(parts: DeliveriesParts) {
    this.#parts = parts
    // without members they would expire, and a rule begin at the end
    for (const rule of parts.rules) parts.groups.keep(ruleNameOf(rule))
    this.#accounts = new RuleAccounts(parts)
    parts.broker.topics.onChange((topic, change) => {
      if (change !== 'deleted' && this.#started) this.#begin(topic, true)
      if (change === 'deleted') this.#accounts.look()
    })
    parts.metrics.gauge('devicePending', () => this.#pendingCount)
  }

  /** Takes up the rules that wait for devices, before any of these comes back with an exchange of an earlier start. */
  takeUp(): void {
    this.#accounts.takeUp()
    this.#lookAgain()
    const { broker, rules } = this.#parts
    const awaiting = rules.filter(rule => rule.awaitsDevice)
    for (const topic of broker.topics.all()) this.#begin(topic, false, awaiting)
  }

  /** Begins with all rules: there may be subscribers now. */
  start(): void {
    this.#started = true
    for (const topic of this.#parts.broker.topics.all()) this.#begin(topic, false)
  }

  /** Of rules with `ack: device`. */
  summaries(): readonly DeviceDeliverySummary[] {
    return [...this.#devices].map(device => device.summary)
  }

  /** Rules with `ack: device` that are gone from the settings, and of which something is kept. */
  formerRules(): readonly FormerRule[] {
    return this.#accounts.former()
  }

  /** Resolves when no rule is at work any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#look?.cancel()
    for (const cancel of this.#stopWaits) cancel()
    for (const delivery of this.#devices) delivery.stop()
    await Promise.all(this.#running.values())
  }

  get #pendingCount(): number {
    let count = 0
    for (const { summary } of this.#devices) count += summary.pending
    return count
  }

  #lookAgain(): void {
    this.#look = this.#parts.clock.after(lookMs, () => {
      this.#accounts.look()
      this.#lookAgain()
    })
  }

  #begin(topic: Topic, isNew: boolean, wanted = this.#parts.rules): void {
    for (const rule of wanted) {
      if (rule.topic !== topic.name) continue
      for (const partition of topic.partitions.keys()) {
        const key = `${ruleNameOf(rule)}/${topic.id}/${partition}`
        if (this.#running.has(key)) continue
        const run = rule.awaitsDevice ? this.#runDevice : this.#run
        const work = run.call(this, rule, topic, partition, isNew).finally(() => this.#running.delete(key))
        this.#running.set(key, work)
      }
    }
  }

  async #runDevice(rule: DeliverRule, topic: Topic, partition: number, isNew: boolean): Promise<void> {
    const { broker } = this.#parts
    const place = { rule: ruleNameOf(rule), topicId: topic.id, partition }
    const logParts = { ...this.#parts, report: rule.report }
    const delivery = new DeviceDelivery(
      { ...this.#parts, rule, topic, partition },
      pending => new DeliveryLog({ ...logParts, pending }, place),
    )
    this.#devices.add(delivery)
    this.#parts.commands.add(topic.partitions[partition]!, delivery)
    const first = (): number => {
      // what found no room in the log when the gateway started
      this.#accounts.inherit(rule)
      const inherited = this.#parts.view.delivered(place)
      if (inherited !== undefined) return inherited
      const { logStart, highWatermark } = broker.offsets(topic.partitions[partition]!)
      // where the rule was before it waited for devices
      return this.#committed(rule, topic, partition) ?? (isNew ? logStart : highWatermark)
    }
    await delivery.run(first).finally(() => this.#devices.delete(delivery))
  }

  async #run(rule: DeliverRule, topic: Topic, partition: number, isNew: boolean): Promise<void> {
    const { clock, logger } = this.#parts
    const groupId = ruleNameOf(rule)
    let position: number | undefined
    while (!this.#stopped && this.#parts.broker.topics.findById(topic.id) !== undefined) {
      try {
        position ??= await this.#startOffset(rule, topic, partition, isNew)
        position = await this.#deliverFrom(rule, groupId, topic, partition, position)
      } catch (error) {
        if (this.#stopped || this.#parts.broker.topics.findById(topic.id) === undefined) return
        position = this.#afterError(error, topic, partition, position)
        logger.warn({ topic: topic.name, partition, error: String(error) }, 'deliver rule tries again')
        await sleep(clock, retryMs)
      }
    }
  }

  /** The committed offset; else the end, and for a topic made just now its start. The choice is committed at once. */
  async #startOffset(rule: DeliverRule, topic: Topic, partition: number, isNew: boolean): Promise<number> {
    const { broker } = this.#parts
    const { logStart, highWatermark } = broker.offsets(topic.partitions[partition]!)
    const committed = this.#committed(rule, topic, partition)
    if (committed !== undefined && committed <= highWatermark) return Math.max(committed, logStart)
    const offset = isNew ? logStart : highWatermark
    await this.#commit(ruleNameOf(rule), topic, partition, offset)
    return offset
  }

  /** Under its name, or by its place as before rules had names. */
  #committed(rule: DeliverRule, topic: Topic, partition: number): number | undefined {
    const { groups, rules } = this.#parts
    for (const groupId of [ruleNameOf(rule), nameByPlace(rules, rule)]) {
      const offsets = groupId === undefined ? [] : [...groups.committedOffsets(groupId)]
      const found = offsets.find(one => one.topic === topic.name && one.partition === partition)
      if (found !== undefined && found.offset >= 0) return found.offset
    }
    return undefined
  }

  /** Hands over what is there, commits, and waits for more. Returns the new position. */
  async #deliverFrom(
    rule: DeliverRule,
    groupId: string,
    topic: Topic,
    partition: number,
    from: number,
  ): Promise<number> {
    const { broker, metrics, clock } = this.#parts
    const id = topic.partitions[partition]!
    if (from >= broker.offsets(id).highWatermark) {
      const wait = broker.waitForAdvance([id], waitMs)
      this.#stopWaits.push(wait.cancel)
      await wait.advanced
      this.#stopWaits = this.#stopWaits.filter(cancel => cancel !== wait.cancel)
      return from
    }
    const { batches, logAges, nextOffset } = await broker.read(id, from, readBytes)
    let count = 0
    for (const [index, batch] of batches.entries()) {
      // its own timestamp is of a wall clock that may have jumped since
      const receivedMs = clock.monotonicMs() - Math.max(0, broker.logAge - logAges[index]!) * 1000
      count += await this.#deliverBatch(rule, topic, partition, batch, from, receivedMs)
    }
    metrics.add('mqttDelivered', count, rule.topic)
    await this.#commit(groupId, topic, partition, nextOffset)
    return nextOffset
  }

  /** Publishes the records of a batch from offset `from` on. What cannot be read is skipped, or the rule would stand still for ever. */
  async #deliverBatch(
    rule: DeliverRule,
    topic: Topic,
    partition: number,
    batch: Buffer,
    from: number,
    receivedMs: number,
  ): Promise<number> {
    const { metrics, logger } = this.#parts
    let count = 0
    let unnamed = 0
    try {
      const cursor = await decompressRecords(batch, decompressedBytes)
      while (cursor.next()) {
        if (cursor.offset < from) continue
        if (await this.#publish(rule, topic, cursor.record(), receivedMs)) count++
        else unnamed++
      }
    } catch (error) {
      if (!(error instanceof MalformedFrame)) throw error
      metrics.add('mqttDropped', 1, 'deliver batch')
      const fields = { topic: topic.name, partition, offset: baseOffsetOf(batch), error: error.message }
      logger.warn(fields, 'deliver rule skips a batch that cannot be read')
    }
    if (unnamed > 0) {
      metrics.add('mqttDropped', unnamed, 'deliver topic')
      const fields = {
        topic: topic.name,
        partition,
        offset: baseOffsetOf(batch),
        records: unnamed,
        rule: rule.mqtt.text,
      }
      logger.warn(fields, 'deliver rule skips records that give no MQTT topic')
    }
    return count
  }

  /** False: the record gives no topic that can be published to. */
  async #publish(rule: DeliverRule, topic: Topic, record: LogRecord, receivedMs: number): Promise<boolean> {
    const { gatewayId, distribution } = this.#parts
    const mqttTopic = mqttTopicOf(rule, topic, record, gatewayId)
    if (mqttTopic === undefined) return false
    await distribution.deliver(rulePublication(rule, mqttTopic, record, receivedMs))
    return true
  }

  async #commit(groupId: string, topic: Topic, partition: number, offset: number): Promise<void> {
    const results = await this.#parts.groups.commit({
      groupId,
      memberId: '',
      groupInstanceId: null,
      generation: -1,
      offsets: [{ topic: topic.name, partition, offset, leaderEpoch: -1, metadata: null }],
    })
    if (results[0] !== undefined) throw new BrokerError(results[0], `the position of ${groupId} was not stored`)
  }

  /** Records that left the log are skipped; anything else is tried again. */
  #afterError(error: unknown, topic: Topic, partition: number, position: number | undefined): number | undefined {
    const isGone = this.#parts.broker.topics.findById(topic.id) === undefined
    if (position === undefined || isGone || !(error instanceof BrokerError) || error.kind !== 'offsetOutOfRange')
      return position
    const { logStart, highWatermark } = this.#parts.broker.offsets(topic.partitions[partition]!)
    return Math.min(Math.max(position, logStart), highWatermark)
  }
}
