import type { GroupNumber, PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { ProducersView } from '../state/producers.ts'
import type { StateLog } from '../state/state-log.ts'
import type {
  AckableListener,
  DiskUsage,
  DurableListener,
  Gap,
  LeaderEpoch,
  Log,
  PartitionOffsets,
  ReadBatches,
} from '../storage/log.ts'
import { type AdvanceWait, AdvanceWaits } from './advance-waits.ts'
import type { CentralReplica } from './central-replica.ts'
import { type BatchRules, checkClientBatch, checkRecordKeys, stampAppendTime } from './client-batch.ts'
import { type FoundOffset, offsetAtMaxTimestamp, offsetByLogAge, offsetByTimestamp } from './offset-search.ts'
import type { Topic, Topics } from './topics.ts'

export interface ProduceResult {
  readonly baseOffset: number
  /** Wall clock given to the batch by `message.timestamp.type=LogAppendTime`, else -1. */
  readonly logAppendTimeMs: number
  /** Offset behind its last record. */
  readonly nextOffset: number
  /** To be acknowledged with this group; undefined when it was durable before this start (a repeat of an old batch). */
  readonly group: GroupNumber | undefined
}

/** How topic configs act on what is appended; `config/topic-configs.ts` gives it. */
export type BatchRulesOf = (topic: Topic) => BatchRules

export interface BrokerParts {
  readonly log: Log
  readonly state: StateLog
  readonly topics: Topics
  readonly producers: ProducersView
  readonly clock: Clock
  readonly memory: MemoryBudget
  readonly metrics: Metrics
  readonly batchRules: BatchRulesOf
  readonly replica: CentralReplica
}

export interface ProduceOptions {
  /** Batches may be compressed with zstd. */
  readonly zstd: boolean
  /** It is to be acknowledged by all replicas that the topic demands. */
  readonly allReplicas?: boolean
}

/**
 * What every front calls: topics, appends, reads. Appends return at once with the group that carries them; whoever acknowledges records
 * waits for `whenAckable(group)`, whoever shows a change of state for `whenDurable(group)`. Reads show durable records only.
 */
export class Broker {
  readonly topics: Topics
  readonly memory: MemoryBudget
  readonly metrics: Metrics
  readonly replica: CentralReplica
  readonly #parts: BrokerParts
  readonly #waits: AdvanceWaits

  constructor(parts: BrokerParts) {
    this.topics = parts.topics
    this.memory = parts.memory
    this.metrics = parts.metrics
    this.replica = parts.replica
    this.#parts = parts
    this.#waits = new AdvanceWaits(parts.clock)
    parts.log.onDurable((_group, partitions) => {
      this.#waits.advanced(partitions)
      this.replica.written(partitions)
    })
    parts.topics.onChange((topic, change) => {
      if (change === 'deleted') this.#waits.advanced(topic.partitions)
    })
  }

  /** 32 hex digits; Kafka clients see it as the cluster id. */
  get logId(): string {
    return this.#parts.log.logId
  }

  /** What the topic demands of what is appended. */
  batchRules(topic: Topic): BatchRules {
    return this.#parts.batchRules(topic)
  }

  /** False once the log cannot be written any more; reads go on. */
  get writable(): boolean {
    return this.#parts.log.writable
  }

  /**
   * Appends a producer's batch as it came. Throws `unknownPartition`, everything that `checkClientBatch` refuses, the producer errors
   * (`outOfOrderSequence`, `invalidProducerEpoch`), `notEnoughReplicas`, and what `Log.append` throws; then nothing was appended. Check and append are one step.
   * Batches for topics that are not compacted are appended before the call returns.
   */
  async produce(topic: Topic, index: number, batch: Buffer, options: ProduceOptions): Promise<ProduceResult> {
    const { log, producers, clock } = this.#parts
    const rules = this.#parts.batchRules(topic)
    const partition = this.topics.partition(topic, index)
    const header = checkClientBatch(batch, rules, options, clock.wallMs())
    if (rules.compacted) await checkRecordKeys(batch)
    // from here to the append nothing may wait
    if (this.topics.findById(topic.id) === undefined)
      throw new BrokerError('unknownTopic', `topic "${topic.name}" was deleted`)
    if (options.allReplicas) this.replica.demand(topic, partition)
    const idempotent = header.producerId >= 0
    if (idempotent && producers.needsFlush) producers.flush(this.#parts.state)
    const duplicate = idempotent ? producers.check(partition, header) : undefined
    if (duplicate !== undefined)
      return { ...duplicate, logAppendTimeMs: -1, nextOffset: duplicate.baseOffset + header.count }
    const logAppendTimeMs = rules.appendTime ? stampAppendTime(batch, clock.wallMs()) : -1
    const { group, baseOffsets } = log.append([{ partition, batch }])
    const baseOffset = baseOffsets[0]!
    if (idempotent) producers.appended(partition, header, baseOffset, log.logAge, group)
    return { baseOffset, logAppendTimeMs, group, nextOffset: baseOffset + header.count }
  }

  /**
   * Appends one record: the path of MQTT ingest, no allocation. `source[start, end)` is the value, `headers` an encoded header array.
   * Returns the offset; the group is `openGroup`, read right after. Throws `recordTooLarge` and what `Log.append` throws.
   */
  appendRecord(
    topic: Topic,
    index: number,
    timestampMs: number,
    key: Uint8Array | null,
    source: Buffer,
    start: number,
    end: number,
    headers: Uint8Array,
  ): number {
    const partition = topic.partitions[index]!
    return this.#parts.log.appendRecord(partition, timestampMs, key, source, start, end, headers)
  }

  /** The group of what was appended last. */
  get openGroup(): GroupNumber {
    return this.#parts.log.openGroup
  }

  get ackableGroup(): GroupNumber {
    return this.#parts.log.ackableGroup
  }

  /** Seconds of the log's life; see `Log`. */
  get logAge(): number {
    return this.#parts.log.logAge
  }

  get durableGroup(): GroupNumber {
    return this.#parts.log.durableGroup
  }

  /**
   * Resolves when records of the group may be acknowledged: it is on the device, or it has only records of topics with
   * `durability=relaxed` and the kernel has it. Rejects with `storageFailed` when they never may be.
   */
  whenAckable(group: GroupNumber): Promise<void> {
    return this.#parts.log.whenAckable(group)
  }

  /** Told of each group that may be acknowledged, in order: what fronts use to acknowledge many records at once. */
  onAckable(listener: AckableListener): void {
    this.#parts.log.onAckable(listener)
  }

  /** Resolves when the group is on the device; rejects with `storageFailed` when it never will be. */
  whenDurable(group: GroupNumber): Promise<void> {
    return this.#parts.log.whenDurable(group)
  }

  /** Told of each synced group, in order. */
  onDurable(listener: DurableListener): void {
    this.#parts.log.onDurable(listener)
  }

  offsets(partition: PartitionId): PartitionOffsets {
    return this.#parts.log.offsets(partition)
  }

  sizeBytes(partition: PartitionId): number {
    return this.#parts.log.sizeBytes(partition)
  }

  diskUsage(): DiskUsage {
    return this.#parts.log.diskUsage()
  }

  leaderEpochs(partition: PartitionId): readonly LeaderEpoch[] {
    return this.#parts.log.leaderEpochs(partition)
  }

  /** What a reader of the partition may miss. */
  gaps(partition: PartitionId): readonly Gap[] {
    return this.#parts.log.gaps().filter(gap => gap.partition === partition)
  }

  /** The leader epoch of what is appended now, and of every partition in metadata. */
  get leaderEpoch(): number {
    return this.#parts.log.logEpoch
  }

  /** Whole batches below the high watermark, from the one that contains `offset`; at least one. Throws `offsetOutOfRange`. */
  read(partition: PartitionId, offset: number, maxBytes: number): Promise<ReadBatches> {
    return this.#parts.log.read(partition, offset, maxBytes, this.#parts.log.offsets(partition).highWatermark)
  }

  /** Waits until one of the partitions has more to read, or was deleted, or `timeoutMs` is over. */
  waitForAdvance(partitions: readonly PartitionId[], timeoutMs: number): AdvanceWait {
    return this.#waits.wait(partitions, timeoutMs)
  }

  /** There is more to read of the partition, though it has not grown: parked reads look again. */
  wakeReaders(partition: PartitionId): void {
    this.#waits.advanced([partition])
  }

  /** The first record with a timestamp of at least `timestampMs`. Undefined: there is none. */
  findOffset(partition: PartitionId, timestampMs: number): Promise<FoundOffset | undefined> {
    return offsetByTimestamp(this.#parts.log, partition, timestampMs)
  }

  /** The first offset of the first batch that was appended at this log age or later, in seconds; the high watermark when there is none. */
  findOffsetByLogAge(partition: PartitionId, logAge: number): Promise<number> {
    return offsetByLogAge(this.#parts.log, partition, logAge)
  }

  /** The record with the largest timestamp (ListOffsets -3). Undefined: the partition is empty. */
  findMaxTimestamp(partition: PartitionId): Promise<FoundOffset | undefined> {
    return offsetAtMaxTimestamp(this.#parts.log, partition)
  }

  /** DeleteRecords: nothing below `offset` is served from now on; durable when it resolves. Throws `offsetOutOfRange` above the high watermark. */
  async deleteRecordsBefore(partition: PartitionId, offset: number): Promise<number> {
    const { logStart, highWatermark } = this.#parts.log.offsets(partition)
    if (offset > highWatermark || offset < 0) {
      throw new BrokerError(
        'offsetOutOfRange',
        `cannot delete before offset ${offset}: records end at ${highWatermark}`,
      )
    }
    // another request may have moved it just now: then this answer waits for that
    await this.whenDurable(offset > logStart ? this.#parts.log.advanceLogStart(partition, offset) : this.openGroup)
    return this.#parts.log.offsets(partition).logStart
  }

  /** A producer id never given before, durable. */
  async newProducerId(): Promise<number> {
    const { producers, state } = this.#parts
    const reservation = producers.reservation()
    if (reservation !== undefined) state.write([reservation])
    const producerId = producers.takeProducerId()
    await state.durable(producers)
    return producerId
  }
}
