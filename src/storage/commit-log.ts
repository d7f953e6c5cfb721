import { assert } from '../core/assert.ts'
import { type GroupNumber, groupNumber, type PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { CommitWriter } from '../platform/commit-writer.ts'
import { AppendSpace } from './append-space.ts'
import { BatchReader } from './batch-reader.ts'
import { CheckpointPreparation } from './checkpoint-preparation.ts'
import { checkpointSource } from './checkpoint-source.ts'
import { Checkpointer } from './checkpointer.ts'
import { CommitLinger } from './commit-linger.ts'
import { CommitPipeline } from './commit-pipeline.ts'
import { type ControlOwner, ControlWriter } from './control-writer.ts'
import { DamageReports } from './damage-reports.ts'
import { DiskBudget } from './disk-budget.ts'
import { takeDurableGroup } from './durable-group.ts'
import { groupFlags, groupHeaderBytes } from './group.ts'
import { GroupGatherer } from './group-gatherer.ts'
import { GroupProgress } from './group-progress.ts'
import { saltSeed } from './layout.ts'
import {
  type AckableListener,
  type Appended,
  type BatchAppend,
  type Compaction,
  type DiskUsage,
  type Durability,
  type DurableListener,
  type LeaderEpoch,
  type Log,
  logControlPartition,
  type PartitionOffsets,
  type ReadBatches,
  type RecordAppend,
  type RecoveredBatch,
  type Retention,
} from './log.ts'
import { LogAge } from './log-age.ts'
import { startRecords } from './log-control.ts'
import { RoomMaking } from './make-room.ts'
import { arenaBytesFor, framedBytes, recordOverheadBytes, roomFor } from './open-group.ts'
import { arenaCount, type CommitLogOptions, defaultRelaxedSyncMs, type StoragePlatform } from './options.ts'
import { PartitionLog } from './partition-log.ts'
import type { RecoveredLog } from './recover-log.ts'
import { pinSegments, type SegmentPins } from './segment-pins.ts'
import { SegmentWriter } from './segment-writer.ts'
import { UnsyncedGroups, type WrittenGroup } from './unsynced-groups.ts'

/** The running log; `openCommitLog` recovers what it is made from. */
export class CommitLog implements Log {
  readonly logId: string
  readonly incarnation: string
  readonly logEpoch: number
  readonly nextPartition: PartitionId
  readonly budget: DiskBudget
  readonly gaps: Log['gaps']
  readonly summedGaps: Log['summedGaps']
  readonly pinSegments: () => SegmentPins
  readonly #options: CommitLogOptions
  readonly #recovered: RecoveredLog
  readonly #writer: CommitWriter
  readonly #gatherer: GroupGatherer
  readonly #pipeline: CommitPipeline
  readonly #segmentWriter: SegmentWriter
  readonly #checkpointer: Checkpointer
  readonly #room: RoomMaking
  readonly #logAge: LogAge
  readonly #logs: Map<number, PartitionLog>
  /** Removed, but not durably: their bytes still count as live. */
  readonly #removing = new Map<number, PartitionLog>()
  readonly #reader: BatchReader
  readonly #progress: GroupProgress
  readonly #preparation: CheckpointPreparation
  readonly #control: ControlWriter
  readonly #space: AppendSpace
  #closing = false

  constructor(platform: StoragePlatform, options: CommitLogOptions, recovered: RecoveredLog) {
    const { meta, chain, segments, tail, cache, indexLoader, pool } = recovered
    const { logEpoch, salt } = meta.starts.at(-1)!
    const [{ clock, random }, { metrics }] = [platform, options]
    const logger = platform.logger.child('storage')
    this.logId = meta.logId
    this.incarnation = random.bytes(8).toString('hex')
    this.logEpoch = logEpoch
    this.nextPartition = recovered.nextPartition
    this.gaps = () => recovered.control.gaps.list
    this.summedGaps = () => recovered.control.gaps.summed
    this.pinSegments = () => pinSegments(recovered)
    this.#options = options
    this.#recovered = recovered
    this.budget = new DiskBudget(recovered, platform.checkpoints, options, () => this.#room.soon())
    this.#logs = recovered.logs
    this.#logAge = new LogAge(clock, recovered.logAgeMark)
    this.#control = new ControlWriter(recovered.control, this.#controlOwner(), clock, recovered.unrepeated)
    const damage = new DamageReports(recovered.control.gaps, this.#control, metrics, logger)
    this.#reader = new BatchReader(
      tail,
      cache,
      span => indexLoader.blocks(span),
      (log, first, last) => damage.report(log, first, last, this.logAge),
    )
    this.#writer = platform.openCommitWriter(arenaCount, arenaBytesFor(options))
    const seed = saltSeed(salt)
    const stamp = () => ({ logEpoch, logAge: this.logAge, seed })
    this.#gatherer = new GroupGatherer(this.#writer.arenas, chain.group + 1, options.commitMaxBytes, stamp)
    this.#segmentWriter = new SegmentWriter(
      { slotBytes: meta.slotBytes, align: options.align },
      () => this.#room.takeSlot(),
      segment => {
        this.#writer.release(segment.slot.path)
        this.#checkpointer.sealed(segment)
      },
    )
    this.#segmentWriter.resume(segments.findLast(segment => !segment.isCold))
    this.#pipeline = new CommitPipeline(
      {
        writer: this.#writer,
        clock,
        logger,
        metrics,
        gatherer: this.#gatherer,
        segments: this.#segmentWriter,
        logAge: this.#logAge,
        linger: options.linger ?? new CommitLinger(0),
        unsynced: new UnsyncedGroups(clock, meta.slotBytes, options.relaxedSyncMs ?? defaultRelaxedSyncMs),
      },
      { logId: meta.logId, logEpoch, salt },
      chain,
      {
        durable: written => this.#durable(written),
        ackable: group => this.#progress.ackable(groupNumber(group)),
        failed: error => this.#progress.failed(error),
      },
    )
    this.#progress = new GroupProgress(this.#gatherer, this.#pipeline)
    this.#preparation = new CheckpointPreparation(this.#gatherer, this.#progress, recovered.producerBatches, () =>
      this.#control.repeat(),
    )
    this.#space = new AppendSpace(pool, this.#segmentWriter, this.#pipeline, clock, metrics, () => this.#room)
    const source = checkpointSource({
      recovered,
      pipeline: this.#pipeline,
      control: this.#control,
      logAge: this.#logAge,
      salt,
      prepare: async () => !this.#closing && this.#preparation.run(),
      onFooter: () => this.#room.soon(),
    })
    this.#checkpointer = new Checkpointer(platform.checkpoints, meta.logId, source, logger)
    this.#room = new RoomMaking({
      clock,
      random,
      metrics,
      logger,
      isWritable: () => this.writable && !this.#closing,
      recovered,
      removing: this.#removing,
      control: this.#control,
      retention: options.retention,
      logAge: () => this.logAge,
      memory: options.memory,
      sealActive: () => this.#segmentWriter.sealActive(),
      footersWritten: () => this.#checkpointer.footersWritten(),
      damage,
    })
    pool.onChange(() => this.#space.changed())
  }

  /** Writes the first group of this start: its epoch, and a gap record for whatever recovery found damaged. */
  async start(): Promise<void> {
    const { pool, losses } = this.#recovered
    pool.prepare()
    this.openPartition(logControlPartition)
    const group = this.#gatherer.special(groupFlags.start)
    for (const records of startRecords(this.logEpoch, this.incarnation, losses, this.logAge))
      await this.#control.write(records)
    await this.whenDurable(groupNumber(group.number))
    this.#checkpointer.begin()
    this.#room.begin(this.#options.rulesSet)
  }

  get logAge(): number {
    return this.#logAge.seconds
  }

  get writable(): boolean {
    return this.#pipeline.failure === undefined
  }

  openPartition(partition: PartitionId): void {
    if (!this.#logs.has(partition)) this.#logs.set(partition, new PartitionLog(partition))
  }

  removePartition(partition: PartitionId): void {
    this.#checkWritable()
    const log = this.#log(partition)
    this.#control.append([{ kind: 'removed', partition }])
    this.#logs.delete(partition)
    this.#removing.set(partition, log)
  }

  *partitions(): Iterable<PartitionId> {
    for (const log of this.#logs.values()) yield log.id
  }

  offsets(partition: PartitionId): PartitionOffsets {
    const { logStart, highWatermark, logEnd } = this.#log(partition)
    return { logStart, highWatermark, logEnd }
  }

  sizeBytes(partition: PartitionId): number {
    return this.#log(partition).sizeBytes
  }

  leaderEpochs(partition: PartitionId): readonly LeaderEpoch[] {
    return this.#log(partition).leaderEpochs()
  }

  append(batches: readonly BatchAppend[]): Appended {
    this.#checkWritable()
    return this.#appendBatches(batches)
  }

  #appendBatches(batches: readonly BatchAppend[]): Appended {
    const bytes = framedBytes(batches)
    const logs = batches.map(({ partition }) => this.#log(partition))
    this.#space.check(bytes, logs)
    const group = this.#gatherer.groupFor(bytes, batches.length)
    const before = group.bytes
    const baseOffsets = batches.map(({ batch }, index) => group.addBatch(logs[index]!, batch))
    this.#options.memory.take(group.bytes - before)
    this.#pipeline.wake()
    return { group: groupNumber(group.number), baseOffsets }
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
    this.#checkWritable()
    const bytes = end - start + (key === null ? 0 : key.length) + headers.length + recordOverheadBytes
    const log = this.#log(partition)
    this.#space.checkOne(bytes, log)
    const group = this.#gatherer.groupForRecord(bytes)
    const before = group.bytes
    const offset = group.addRecord(log, timestampMs, key, source, start, end, headers)
    this.#options.memory.take(group.bytes - before)
    this.#pipeline.wake()
    return offset
  }

  appendRecords(records: readonly RecordAppend[]): GroupNumber {
    this.#checkWritable()
    const { bytes, frames } = roomFor(records)
    const logs = records.map(({ partition }) => this.#log(partition))
    this.#space.check(bytes, logs)
    this.#options.memory.take(this.#gatherer.groupFor(bytes, frames).addRecords(logs, records))
    this.#pipeline.wake()
    return this.openGroup
  }

  get openGroup(): GroupNumber {
    return this.#progress.openGroup
  }

  get ackableGroup(): GroupNumber {
    return this.#progress.ackableGroup
  }

  get durableGroup(): GroupNumber {
    return this.#progress.durableGroup
  }

  whenAckable(group: GroupNumber): Promise<void> {
    return this.#progress.whenAckable(group)
  }

  whenDurable(group: GroupNumber): Promise<void> {
    return this.#progress.whenDurable(group)
  }

  onAckable(listener: AckableListener): void {
    this.#progress.onAckable(listener)
  }

  onDurable(listener: DurableListener): void {
    this.#progress.onDurable(listener)
  }

  async read(partition: PartitionId, offset: number, maxBytes: number, limitOffset: number): Promise<ReadBatches> {
    return this.#reader.readDurable(this.#log(partition), offset, maxBytes, limitOffset)
  }

  findBatchByTimestamp(partition: PartitionId, timestampMs: number): Promise<number | undefined> {
    return this.#reader.findByTimestamp(this.#log(partition), timestampMs)
  }

  maxTimestamp(partition: PartitionId): Promise<{ baseOffset: number; timestampMs: number } | undefined> {
    return this.#reader.maxTimestamp(this.#log(partition))
  }

  advanceLogStart(partition: PartitionId, offset: number): GroupNumber {
    this.#checkWritable()
    const log = this.#log(partition)
    assert(offset <= log.logEnd, 'a log start is moved within what was appended')
    if (offset <= log.logStart) return this.openGroup
    const group = this.#control.append([{ kind: 'logStart', partition, offset }])
    log.advanceLogStart(offset)
    return group
  }

  mendControl(): Promise<void> {
    return this.#control.mend()
  }

  setDurability(partition: PartitionId, durability: Durability): void {
    this.#log(partition).isRelaxed = durability === 'relaxed' && this.#options.align === 'auto'
  }

  setRetention(partition: PartitionId, retention: Retention): void {
    this.#log(partition).retention = retention
  }

  setCompaction(partition: PartitionId, compaction: Compaction | undefined): void {
    this.#log(partition).compaction = compaction
  }

  onCheckpoint(before: () => void): void {
    this.#preparation.add(before)
    this.#checkpointer.request()
  }

  takeRecoveredBatches(): readonly RecoveredBatch[] {
    return this.#preparation.takeRecovered()
  }

  diskUsage(): DiskUsage {
    return this.budget.usage(this.logAge, this.#space.shortage)
  }

  async close(): Promise<void> {
    if (this.#closing) return
    const { pool, tail, cache, indexLoader } = this.#recovered
    const preparing = this.#preparation.run().catch(() => false)
    this.#closing = true
    if (pool.outOfSpace && this.#pipeline.stalled) {
      // nobody was promised what waits for space, and it may never come
      await this.#progress.synced(this.ackableGroup).catch(() => {})
      this.#pipeline.fail('no space for the log at the stop')
    }
    const prepared = await preparing
    this.#room.housekeeping.stop()
    if (this.writable) await this.#progress.writeWitness().catch(() => {})
    const isClean = this.writable
    this.#pipeline.stop()
    pool.stop()
    await this.#checkpointer.settled()
    if (isClean && prepared) await this.#checkpointer.last().catch(() => {})
    await this.#writer.close()
    await pool.close()
    for (const part of [tail, cache, indexLoader]) part.clear()
  }

  #durable(written: WrittenGroup): void {
    const { group, placement } = written
    const onControl = (batch: Buffer): void => this.#control.applyDurable(batch)
    if (takeDurableGroup(written, this.#recovered, this.#removing, onControl)) this.#room.soon()
    this.#options.memory.give(group.bytes - groupHeaderBytes)
    this.#checkpointer.grown(placement.writeBytes)
    this.#progress.durable(groupNumber(group.number), group.partitions)
  }

  #controlOwner(): ControlOwner {
    return {
      segments: this.#recovered.segments,
      leaving: this.#recovered.leaving,
      logs: this.#logs,
      appendControlBatch: batch => this.#appendBatches([{ partition: logControlPartition, batch }]).group,
      progress: () => this.#progress,
      onRemoved: partition => this.#removing.delete(partition),
      onPublished: sequence => this.#room.published(sequence),
    }
  }

  #log(partition: PartitionId): PartitionLog {
    const log = this.#logs.get(partition)
    if (log === undefined) throw new BrokerError('unknownPartition', `partition ${partition} was removed meanwhile`)
    return log
  }

  #checkWritable(): void {
    if (this.#pipeline.failure !== undefined) throw this.#pipeline.failure
    if (this.#closing) throw new BrokerError('shuttingDown', 'the log is closing')
  }
}
