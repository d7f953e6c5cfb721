import type { Broker } from '../../broker/broker.ts'
import { maxReportedKeyBytes, reportRecord } from '../../broker/command-report.ts'
import type { Topic } from '../../broker/topics.ts'
import type { FetchedRecord } from '../../client/partition-reader.ts'
import type { DownlinkRule } from '../../config/downlink.ts'
import { BrokerError } from '../../core/errors.ts'
import type { MetricKey } from '../../core/metrics.ts'
import { partitionOfKey } from '../../core/murmur2.ts'
import { type Clock, sleep } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { DownlinkView } from '../../state/downlink.ts'
import type { StateLog } from '../../state/state-log.ts'
import type { RecordAppend } from '../../storage/log.ts'
import type { Inlet } from './inlet.ts'
import { lifeLeftMs, localHeaders } from './local-record.ts'
import type { RuleFilter } from './rule-filter.ts'

export interface IntakeParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: DownlinkView
  readonly gatewayId: string
  readonly maxRecordBytes: number
  readonly clock: Clock
  /** Somebody vouches for the wall clock. */
  readonly isClockRight: () => boolean
  readonly logger: Logger
  readonly isEnding: () => boolean
}

/** Whatever `commit.max.bytes` is, a group holds so much. A larger record goes alone. */
const groupBytes = 32 << 10
/** What a record takes beside key, value and headers, at most: itself, and the batch that it may be alone in. */
const overheadBytes = 128
/** Where nothing is for this gateway the log hears of the position so often: reading that again costs little. */
const restMs = 10_000
const retryMs = 200
/** Commands go last when the disk budget is used up. */
const commandConfigs = new Map([['retention.class', 'critical']])

/** What becomes of a record that is for this gateway. */
interface Arrival {
  readonly outcome: 'taken' | 'expired' | 'refused'
  /** Where it is written, or its report; undefined: nowhere. */
  readonly to: string | undefined
  readonly bytes: number
  /** The record for it, in the topic as it is at that moment. */
  readonly make: (topic: Topic) => RecordAppend
}

const metricOf: Readonly<Record<Arrival['outcome'], MetricKey>> = {
  taken: 'downlinkRecords',
  expired: 'downlinkExpired',
  refused: 'downlinkRefused',
}

/**
 * Takes records of the central cluster into the log: what a rule wants of them and the position behind them in one group, so that a crash leaves
 * both or neither. A log that has no room is waited for.
 */
export class Intake {
  readonly #parts: IntakeParts

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  /** Makes the topics that rules name, where they are missing. Throws `BrokerError`. */
  makeTopics(filters: readonly RuleFilter[]): void {
    for (const { rule } of filters) {
      this.#topic(rule.to)
      if (rule.report !== undefined) this.#topic(rule.report)
    }
  }

  /** All that a fetch brought of one partition; durable when it resolves. False: the gateway stops, and not all was taken. */
  async take(inlet: Inlet, filters: readonly RuleFilter[], records: readonly FetchedRecord[]): Promise<boolean> {
    let group: Arrival[] = []
    let bytes = 0
    for (const record of records) {
      const arrival = this.#judge(filters, record)
      if (group.length > 0 && bytes + (arrival?.bytes ?? 0) > groupBytes) {
        if (!(await this.#write(inlet, group))) return false
        group = []
        bytes = 0
      }
      inlet.passed(record.offset + 1, arrival?.outcome)
      if (arrival === undefined) continue
      group.push(arrival)
      bytes += arrival.bytes
    }
    inlet.passed(inlet.reader.position, undefined)
    const { clock, view } = this.#parts
    const stored = view.position(inlet.topic, inlet.partition)
    const isDue = inlet.position.next !== stored?.next && clock.monotonicMs() - inlet.writtenAtMs >= restMs
    return group.length === 0 && !isDue ? true : this.#write(inlet, group)
  }

  /** By the first rule that wants it; undefined: it is for others. */
  #judge(filters: readonly RuleFilter[], record: FetchedRecord): Arrival | undefined {
    for (const filter of filters) {
      const found = filter.keyOf(record)
      if (found !== undefined) return this.#arrival(filter.rule, record, found.key)
    }
    return undefined
  }

  #arrival(rule: DownlinkRule, record: FetchedRecord, key: Buffer | null): Arrival {
    const { clock, isClockRight } = this.#parts
    const leftMs = lifeLeftMs(record, rule.ttlMs, isClockRight() ? clock.wallMs() : undefined)
    if (leftMs === 0) return this.#report(rule, record, 'expired')
    const headers = localHeaders(record, key, leftMs)
    const { timestampMs, value } = record
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + headers.length + overheadBytes
    const fault = this.#faultOf(rule.to, key, bytes)
    if (fault !== undefined) return this.#report(rule, record, 'refused', fault)
    const make = ({ partitions }: Topic): RecordAppend => {
      const index = key === null ? record.partition % partitions.length : partitionOfKey(key, partitions.length)
      return { partition: partitions[index]!, timestampMs, key, value, headers }
    }
    return { outcome: 'taken', to: rule.to, bytes, make }
  }

  /** Why the topic does not take such a record. */
  #faultOf(to: string, key: Buffer | null, bytes: number): string | undefined {
    const { broker, maxRecordBytes } = this.#parts
    const topic = broker.topics.find(to)
    const rules = topic && broker.batchRules(topic)
    const mostBytes = Math.min(maxRecordBytes, rules?.maxBatchBytes ?? maxRecordBytes)
    if (bytes > mostBytes) return `larger than max.message.bytes (${mostBytes})`
    return key === null && rules?.compacted ? `it has no key, and ${to} is compacted` : undefined
  }

  #report(rule: DownlinkRule, record: FetchedRecord, outcome: 'expired' | 'refused', reason?: string): Arrival {
    const { clock, gatewayId } = this.#parts
    const { topic, partition, offset, key } = record
    const told = { result: outcome, key, topic, partition, offset, ...(reason === undefined ? {} : { reason }) }
    const make = (to: Topic): RecordAppend => reportRecord(to, gatewayId, told, clock.wallMs())
    return {
      outcome,
      to: rule.report,
      bytes: overheadBytes * 4 + Math.min(key?.length ?? 0, maxReportedKeyBytes),
      make,
    }
  }

  /** The group with the position behind it, as soon as the log has room. */
  async #write(inlet: Inlet, arrivals: readonly Arrival[]): Promise<boolean> {
    const { state, view, broker, clock, isEnding, logger } = this.#parts
    for (let lastReason = ''; !isEnding(); ) {
      try {
        const records = arrivals.flatMap(({ to, make }) => (to === undefined ? [] : make(this.#topic(to))))
        const { position } = inlet
        const group = state.write([view.putPosition(inlet.topic, inlet.partition, position)], records)
        await state.whenDurable(group)
        inlet.durable(position, clock.monotonicMs())
        for (const { outcome } of arrivals) broker.metrics.add(metricOf[outcome], 1, inlet.topic)
        this.#logMissed(inlet, arrivals)
        return true
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        if (error.message !== lastReason)
          logger.warn({ topic: inlet.topic, reason: error.message }, 'the downlink waits until the log takes records')
        lastReason = error.message
        inlet.waitsFor(error.message)
      }
      await sleep(clock, retryMs)
    }
    return false
  }

  #logMissed({ topic, partition, position }: Inlet, arrivals: readonly Arrival[]): void {
    const count = (wanted: Arrival['outcome']): number => arrivals.filter(({ outcome }) => outcome === wanted).length
    const [expired, refused] = [count('expired'), count('refused')]
    if (expired + refused === 0) return
    const fields = { topic, partition, before: position.next, expired, refused }
    this.#parts.logger.warn(fields, 'records of the central cluster were too old, or too large, and were not taken')
  }

  #topic(name: string): Topic {
    const { topics } = this.#parts.broker
    return topics.find(name) ?? topics.create({ name, configs: commandConfigs })
  }
}
