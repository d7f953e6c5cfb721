import { type GroupNumber, groupNumber, type PartitionId, partitionId } from '../../src/core/brand.ts'
import { BrokerError } from '../../src/core/errors.ts'
import {
  type AckableListener,
  type Appended,
  type BatchAppend,
  type DiskUsage,
  type Durability,
  type DurableListener,
  firstTopicPartitionId,
  type Gap,
  type LeaderEpoch,
  type Log,
  type PartitionOffsets,
  type ReadBatches,
  type RecordAppend,
  type RecoveredBatch,
  type SummedGaps,
} from '../../src/storage/log.ts'
import type { SegmentPins } from '../../src/storage/segment-pins.ts'
import { BatchBuilder } from '../../src/wire/kafka/batch-builder.ts'
import {
  baseOffsetOf,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  nextOffsetOf,
  recordCountOf,
  stamp,
} from '../../src/wire/kafka/record-batch.ts'

interface Partition {
  isRelaxed: boolean
  logStart: number
  highWatermark: number
  logEnd: number
  readonly batches: Buffer[]
}

interface Waiter {
  readonly group: number
  resolve(): void
  reject(error: BrokerError): void
}

/**
 * A `Log` in memory: each append is a group, synced in the next turn of the event loop. `held` stops the device (not the kernel, which takes relaxed groups), `fail` breaks it,
 * `restart` makes the next leader epoch. Nothing survives the process, nothing is evicted.
 */
export class MemoryLog implements Log {
  readonly budget: Log['budget'] = { least: { budgetBytes: 0, keptBytes: 0 }, resize: () => {} }
  logId = '0123456789abcdef0123456789abcdef'
  readonly incarnation = 'fedcba9876543210'
  readonly nextPartition = partitionId(firstTopicPartitionId)
  logEpoch = 1
  logAge = 0
  /** At the append of each batch. */
  readonly #logAges = new WeakMap<Buffer, number>()
  writable = true
  /** While true, no sync ends. */
  held = false
  /** Groups that may wait for the device; one more is `memoryFull`. */
  maxWaitingGroups = Number.POSITIVE_INFINITY
  /** No slot is free: appends are `storageFull`. */
  full = false
  /** Reads and searches go on when this resolves. */
  readGate: Promise<void> = Promise.resolve()
  /** Reads and searches begun so far. */
  reads = 0
  readonly #partitions = new Map<PartitionId, Partition>()
  readonly #listeners: DurableListener[] = []
  readonly #ackableListeners: AckableListener[] = []
  readonly #undurable = new Map<number, Set<PartitionId>>()
  readonly #relaxed = new Set<number>()
  #waiters: Waiter[] = []
  #ackWaiters: Waiter[] = []
  #group = 0
  #ackable = 0
  #durable = 0
  #syncing = false

  openPartition(partition: PartitionId): void {
    if (this.#partitions.has(partition)) return
    this.#partitions.set(partition, { isRelaxed: false, logStart: 0, highWatermark: 0, logEnd: 0, batches: [] })
  }

  removePartition(partition: PartitionId): void {
    this.#partitions.delete(partition)
  }

  partitions(): Iterable<PartitionId> {
    return this.#partitions.keys()
  }

  offsets(partition: PartitionId): PartitionOffsets {
    const { logStart, highWatermark, logEnd } = this.#open(partition)
    return { logStart, highWatermark, logEnd }
  }

  sizeBytes(partition: PartitionId): number {
    return this.#open(partition).batches.reduce((sum, batch) => sum + batch.length, 0)
  }

  leaderEpochs(partition: PartitionId): readonly LeaderEpoch[] {
    const epochs: LeaderEpoch[] = []
    for (const batch of this.#open(partition).batches) {
      const epoch = leaderEpochOf(batch)
      if (epochs.at(-1)?.epoch !== epoch) epochs.push({ epoch, startOffset: baseOffsetOf(batch) })
    }
    return epochs
  }

  gaps(): readonly Gap[] {
    return []
  }

  summedGaps(): SummedGaps {
    return { count: 0, records: 0 }
  }

  append(batches: readonly BatchAppend[]): Appended {
    if (!this.writable) throw new BrokerError('storageFailed', 'the device failed')
    if (this.#group - this.#durable >= this.maxWaitingGroups) throw new BrokerError('memoryFull', 'the device is slow')
    if (this.full) throw new BrokerError('storageFull', 'no slot is free')
    this.#group += 1
    const touched = new Set<PartitionId>()
    const baseOffsets = batches.map(({ partition, batch }) => {
      const log = this.#open(partition)
      const copy = Buffer.from(batch)
      const baseOffset = log.logEnd
      stamp(copy, baseOffset, this.logEpoch)
      log.batches.push(copy)
      this.#logAges.set(copy, this.logAge)
      log.logEnd = baseOffset + recordCountOf(copy)
      touched.add(partition)
      return baseOffset
    })
    this.#undurable.set(this.#group, touched)
    if (batches.length > 0 && batches.every(({ partition }) => this.#open(partition).isRelaxed))
      this.#relaxed.add(this.#group)
    this.#sync()
    if (this.held) setImmediate(() => this.#handOver())
    return { group: groupNumber(this.#group), baseOffsets }
  }

  appendRecord(
    partition: PartitionId,
    timestampMs: number,
    key: Uint8Array | null,
    source: Buffer,
    start: number,
    end: number,
    headers: Uint8Array,
  ): number {
    const builder = new BatchBuilder()
    builder.append(timestampMs, key, source, start, end, headers)
    return this.append([{ partition, batch: builder.finish(0, 0) }]).baseOffsets[0]!
  }

  appendRecords(records: readonly RecordAppend[]): GroupNumber {
    const builders = new Map<PartitionId, BatchBuilder>()
    for (const { partition, timestampMs, key, value, headers } of records) {
      const builder = builders.get(partition) ?? new BatchBuilder()
      builders.set(partition, builder)
      builder.append(timestampMs, key, value, 0, value?.length ?? 0, headers)
    }
    return this.append([...builders].map(([partition, builder]) => ({ partition, batch: builder.finish(0, 0) }))).group
  }

  get openGroup(): GroupNumber {
    return groupNumber(this.#group)
  }

  get ackableGroup(): GroupNumber {
    return groupNumber(this.#ackable)
  }

  get durableGroup(): GroupNumber {
    return groupNumber(this.#durable)
  }

  whenAckable(group: GroupNumber): Promise<void> {
    return group <= this.#ackable ? Promise.resolve() : this.#wait(group, this.#ackWaiters)
  }

  whenDurable(group: GroupNumber): Promise<void> {
    return group <= this.#durable ? Promise.resolve() : this.#wait(group, this.#waiters)
  }

  onAckable(listener: AckableListener): void {
    this.#ackableListeners.push(listener)
  }

  onDurable(listener: DurableListener): void {
    this.#listeners.push(listener)
  }

  async read(partition: PartitionId, offset: number, maxBytes: number, limitOffset: number): Promise<ReadBatches> {
    this.reads += 1
    await this.readGate
    const { logStart, logEnd, batches } = this.#open(partition)
    if (offset < logStart || offset > logEnd)
      throw new BrokerError('offsetOutOfRange', `${offset} is not within ${logStart} to ${logEnd}`)
    const found: Buffer[] = []
    let bytes = 0
    for (const batch of batches) {
      if (lastOffsetOf(batch) < offset) continue
      if (nextOffsetOf(batch) > limitOffset || (found.length > 0 && bytes + batch.length > maxBytes)) break
      found.push(batch)
      bytes += batch.length
    }
    const logAges = found.map(batch => this.#logAges.get(batch)!)
    return { batches: found, logAges, nextOffset: found.length > 0 ? nextOffsetOf(found.at(-1)!) : offset }
  }

  async findBatchByTimestamp(partition: PartitionId, timestampMs: number): Promise<number | undefined> {
    this.reads += 1
    await this.readGate
    const found = this.#durableBatches(partition).find(batch => maxTimestampOf(batch) >= timestampMs)
    return found === undefined ? undefined : baseOffsetOf(found)
  }

  async maxTimestamp(partition: PartitionId): Promise<{ baseOffset: number; timestampMs: number } | undefined> {
    this.reads += 1
    await this.readGate
    let best: Buffer | undefined
    for (const batch of this.#durableBatches(partition)) {
      if (best === undefined || maxTimestampOf(batch) > maxTimestampOf(best)) best = batch
    }
    return best === undefined ? undefined : { baseOffset: baseOffsetOf(best), timestampMs: maxTimestampOf(best) }
  }

  advanceLogStart(partition: PartitionId, offset: number): GroupNumber {
    const log = this.#open(partition)
    log.logStart = offset
    while (log.batches[0] !== undefined && nextOffsetOf(log.batches[0]) <= offset) log.batches.shift()
    return groupNumber(this.#durable)
  }

  async mendControl(): Promise<void> {}
  setDurability(partition: PartitionId, durability: Durability): void {
    this.#open(partition).isRelaxed = durability === 'relaxed'
  }

  setRetention(): void {}

  setCompaction(): void {}

  onCheckpoint(): void {}

  takeRecoveredBatches(): readonly RecoveredBatch[] {
    return []
  }

  pinSegments(): SegmentPins {
    const image = { logId: this.logId, lastGroup: this.#durable, slotBytes: 0, meta: '', segments: [] }
    return { image, release: () => {}, releaseAll: () => {} }
  }

  diskUsage(): DiskUsage {
    return { logBytes: 0, viewBytes: 0, budgetBytes: 0, daysHeld: null, shortage: null }
  }

  async close(): Promise<void> {}

  /** Lets syncs end again. */
  release(): void {
    this.held = false
    this.#sync()
  }

  /** What waits is never durable, nor is anything after it. */
  fail(): void {
    this.writable = false
    for (const { reject } of [...this.#waiters.splice(0), ...this.#ackWaiters.splice(0)])
      reject(new BrokerError('storageFailed', 'the device failed'))
  }

  #wait(group: GroupNumber, waiters: Waiter[]): Promise<void> {
    if (!this.writable) return Promise.reject(new BrokerError('storageFailed', 'the device failed'))
    return new Promise((resolve, reject) => waiters.push({ group, resolve, reject }))
  }

  #open(partition: PartitionId): Partition {
    const log = this.#partitions.get(partition)
    if (log === undefined) throw new BrokerError('unknownPartition', `partition ${partition} was removed`)
    return log
  }

  #durableBatches(partition: PartitionId): Buffer[] {
    const { batches, highWatermark, logStart } = this.#open(partition)
    return batches.filter(batch => nextOffsetOf(batch) <= highWatermark && nextOffsetOf(batch) > logStart)
  }

  #sync(): void {
    if (this.#syncing || this.held || !this.writable || this.#durable === this.#group) return
    this.#syncing = true
    const last = this.#group
    setImmediate(() => {
      this.#syncing = false
      if (this.held || !this.writable) return
      while (this.#durable < last) this.#groupDurable()
      const ready = this.#waiters.filter(({ group }) => group <= last)
      this.#waiters = this.#waiters.filter(({ group }) => group > last)
      for (const { resolve } of ready) resolve()
      this.#handOver()
      this.#sync()
    })
  }

  #handOver(): void {
    while (this.writable && (this.#ackable < this.#durable || this.#relaxed.has(this.#ackable + 1))) {
      this.#ackable += 1
      for (const listener of this.#ackableListeners) listener(groupNumber(this.#ackable))
    }
    const ready = this.#ackWaiters.filter(({ group }) => group <= this.#ackable)
    this.#ackWaiters = this.#ackWaiters.filter(({ group }) => group > this.#ackable)
    for (const { resolve } of ready) resolve()
  }

  #groupDurable(): void {
    this.#durable += 1
    const touched = [...(this.#undurable.get(this.#durable) ?? [])]
    this.#undurable.delete(this.#durable)
    // only what was appended up to here: groups of a partition become durable in order
    for (const partition of touched) {
      const log = this.#partitions.get(partition)
      if (log !== undefined) log.highWatermark = this.#endAt(partition, log)
    }
    for (const listener of this.#listeners) listener(groupNumber(this.#durable), touched)
  }

  #endAt(partition: PartitionId, log: Partition): number {
    const later = [...this.#undurable.values()].filter(touched => touched.has(partition)).length
    const batch = log.batches.at(-1 - later)
    return batch === undefined ? log.highWatermark : nextOffsetOf(batch)
  }
}
