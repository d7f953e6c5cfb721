import { assert } from '../core/assert.ts'
import { type GroupNumber, groupNumber, type PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { CommitWriter } from '../platform/commit-writer.ts'
import { byteLengthOf } from '../wire/kafka/record-batch.ts'
import { BatchReader } from './batch-reader.ts'
import { BlockCache } from './block-cache.ts'
import { CommitPipeline } from './commit-pipeline.ts'
import { logDirectory, openDataDirectory, writeMeta } from './data-directory.ts'
import { DurableWaiters } from './durable-waiters.ts'
import { frameHeaderBytes } from './frame.ts'
import { indexGroup } from './frame-indexer.ts'
import { groupFlags, groupHeaderBytes } from './group.ts'
import { GroupGatherer } from './group-gatherer.ts'
import { alignUp, blockBytes, saltSeed } from './layout.ts'
import type {
  Appended,
  BatchAppend,
  DurableListener,
  Gap,
  LeaderEpoch,
  Log,
  PartitionOffsets,
  ReadBatches,
  RecoveredBatch,
} from './log.ts'
import { LogAge } from './log-age.ts'
import { type Meta, maxStarts } from './meta.ts'
import { arenaGroupStart, recordOverheadBytes } from './open-group.ts'
import { readSlotHeaders } from './open-segments.ts'
import { arenaCount, type CommitLogOptions, minSlots, type StoragePlatform, slotBytesFor } from './options.ts'
import { PartitionLog } from './partition-log.ts'
import { Recovery } from './recovery.ts'
import type { Segment } from './segment.ts'
import { SegmentWriter } from './segment-writer.ts'
import { markFree, SlotPool } from './slot-pool.ts'
import { Tail } from './tail.ts'

const MiB = 1024 * 1024

/** Opens or makes the log in `options.directory`, recovers it and returns it writable. Throws `StartError` 65. */
export const openCommitLog = async (platform: StoragePlatform, options: CommitLogOptions): Promise<Log> => {
  const { files, random, logger, clock } = platform
  const newSlotBytes = options.slotBytes ?? slotBytesFor(options.budgetBytes)
  const meta = await openDataDirectory(files, random, options.directory, newSlotBytes)
  const { slotBytes } = meta
  const maxSlots = Math.max(minSlots, Math.floor(options.budgetBytes / slotBytes))
  const directory = logDirectory(options.directory)
  await files.makeDirectory(directory)
  const pool = new SlotPool({ files, clock, logger }, { directory, slotBytes, maxSlots, reserve: options.reserve })
  for (const name of await files.list(directory)) await pool.adoptFile(name)
  const logIds = new Set([meta.logId, ...meta.ancestors.map(ancestor => ancestor.logId)])
  const found = await readSlotHeaders(pool.slots, logIds, logger)
  const recovery = new Recovery(new Set(meta.starts.map(start => start.salt)), () => {})
  const segments = await recovery.scan(found.segments)
  await recovery.writeAgain()
  for (const segment of found.segments) {
    if (segments.includes(segment)) continue
    await markFree(segment.slot, meta.logId, slotBytes)
    found.free.push(segment.slot)
  }
  for (const slot of found.free) await pool.settle(slot, true)
  for (const segment of segments) await pool.settle(segment.slot, false)
  const logEpoch = Math.max(meta.starts.at(-1)?.logEpoch ?? -1, recovery.logEpoch - (segments.length === 0 ? 1 : 0)) + 1
  const salt = random.bytes(8).readBigUInt64BE(0)
  const started: Meta = { ...meta, starts: [...meta.starts, { logEpoch, salt }].slice(-maxStarts) }
  await writeMeta(files, options.directory, started)
  const log = new CommitLog(platform, options, started, pool, recovery, segments)
  await log.start()
  return log
}

class CommitLog implements Log {
  readonly logId: string
  readonly incarnation: string
  readonly logEpoch: number
  readonly #options: CommitLogOptions
  readonly #pool: SlotPool
  readonly #writer: CommitWriter
  readonly #gatherer: GroupGatherer
  readonly #pipeline: CommitPipeline
  readonly #segmentWriter: SegmentWriter
  readonly #logAge: LogAge
  readonly #logs: Map<number, PartitionLog>
  readonly #segments: Segment[]
  readonly #tail: Tail
  readonly #cache: BlockCache
  readonly #reader: BatchReader
  readonly #waiters = new DurableWaiters()
  readonly #listeners: DurableListener[] = []
  #closing = false

  constructor(
    platform: StoragePlatform,
    options: CommitLogOptions,
    meta: Meta,
    pool: SlotPool,
    recovery: Recovery,
    segments: Segment[],
  ) {
    const { logEpoch, salt } = meta.starts.at(-1)!
    const { clock, logger, random } = platform
    const { metrics, memory } = options
    this.logId = meta.logId
    this.incarnation = random.bytes(8).toString('hex')
    this.logEpoch = logEpoch
    this.#options = options
    this.#pool = pool
    this.#logs = recovery.logs
    this.#segments = segments
    this.#logAge = new LogAge(clock, recovery.logAgeMark)
    this.#tail = new Tail(options.tailBytes ?? 4 * MiB, memory)
    this.#cache = new BlockCache(options.cacheBytes ?? 8 * MiB, memory, metrics)
    this.#reader = new BatchReader(
      this.#tail,
      this.#cache,
      async () => {},
      () => {},
    )
    const largest = Math.max(options.commitMaxBytes, options.maxMessageBytes + frameHeaderBytes + 4096)
    this.#writer = platform.openCommitWriter(arenaCount, arenaGroupStart + alignUp(largest, blockBytes) + blockBytes)
    const seed = saltSeed(salt)
    this.#gatherer = new GroupGatherer(this.#writer.arenas, recovery.chain.group + 1, options.commitMaxBytes, () => ({
      logEpoch,
      logAge: this.logAge,
      seed,
    }))
    this.#segmentWriter = new SegmentWriter(
      { slotBytes: meta.slotBytes, align: options.align },
      () => pool.take(),
      () => {},
    )
    this.#segmentWriter.active = segments.at(-1)
    this.#pipeline = new CommitPipeline(
      {
        writer: this.#writer,
        clock,
        logger,
        metrics,
        gatherer: this.#gatherer,
        segments: this.#segmentWriter,
        logAge: this.#logAge,
      },
      { logId: meta.logId, logEpoch, salt },
      recovery.chain,
      {
        durable: (group, placement, arena) => {
          const { segment, position } = placement
          if (this.#segments.at(-1) !== segment) this.#segments.push(segment)
          this.#tail.add(segment, position, arena.subarray(arenaGroupStart, arenaGroupStart + group.bytes))
          indexGroup(segment, arena, arenaGroupStart, position, group.frameCount, id => this.#logs.get(id))
          options.memory.give(group.bytes - groupHeaderBytes)
          const number = groupNumber(group.number)
          for (const listener of this.#listeners) listener(number, group.partitions)
          this.#waiters.resolveThrough(group.number)
        },
        failed: error => this.#waiters.rejectAll(error),
      },
    )
    pool.onChange(() => this.#pipeline.pump())
  }

  /** The first group of this start. */
  async start(): Promise<void> {
    this.#pool.prepare()
    const group = this.#gatherer.special(groupFlags.start)
    this.#pipeline.pump()
    await this.#waiters.wait(groupNumber(group.number))
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
    this.#logs.delete(partition)
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

  gaps(): readonly Gap[] {
    return []
  }

  append(batches: readonly BatchAppend[]): Appended {
    this.#checkWritable()
    let bytes = 0
    for (const { batch } of batches) {
      assert(byteLengthOf(batch) === batch.length, 'a batch is as long as it says')
      bytes += frameHeaderBytes + batch.length
    }
    const group = this.#gatherer.groupFor(bytes, batches.length)
    const before = group.bytes
    const baseOffsets = batches.map(({ partition, batch }) => group.addBatch(this.#log(partition), batch))
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
    const group = this.#gatherer.groupFor(bytes + 128, 1)
    const before = group.bytes
    const offset = group.addRecord(this.#log(partition), timestampMs, key, source, start, end, headers)
    this.#options.memory.take(group.bytes - before)
    this.#pipeline.wake()
    return offset
  }

  ensureRoom(bytes: number): void {
    this.#checkWritable()
    this.#gatherer.groupFor(bytes, 1)
  }

  get openGroup(): GroupNumber {
    return groupNumber(this.#gatherer.openNumber)
  }

  get durableGroup(): GroupNumber {
    return groupNumber(this.#pipeline.durableGroup)
  }

  whenDurable(group: GroupNumber): Promise<void> {
    const empty = group === this.#gatherer.openNumber && !this.#gatherer.hasOpen
    const needed = empty ? groupNumber(group - 1) : group
    return needed <= this.#pipeline.durableGroup ? Promise.resolve() : this.#waiters.wait(needed)
  }

  onDurable(listener: DurableListener): void {
    this.#listeners.push(listener)
  }

  async read(partition: PartitionId, offset: number, maxBytes: number, limitOffset: number): Promise<ReadBatches> {
    const log = this.#log(partition)
    if (offset < log.logStart || offset > log.logEnd) {
      throw new BrokerError('offsetOutOfRange', `offset ${offset} is not within ${log.logStart} to ${log.logEnd}`)
    }
    const limit = Math.min(limitOffset, log.highWatermark)
    if (offset >= limit) return { batches: [], nextOffset: offset }
    return this.#reader.read(log, offset, maxBytes, limit)
  }

  findBatchByTimestamp(partition: PartitionId, timestampMs: number): Promise<number | undefined> {
    return this.#reader.findByTimestamp(this.#log(partition), timestampMs)
  }

  maxTimestamp(partition: PartitionId): Promise<{ baseOffset: number; timestampMs: number } | undefined> {
    return this.#reader.maxTimestamp(this.#log(partition))
  }

  advanceLogStart(partition: PartitionId, offset: number): GroupNumber {
    this.#log(partition).advanceLogStart(offset)
    return this.durableGroup
  }

  setRetention(partition: PartitionId, retention: { readonly ms: number; readonly bytes: number }): void {
    this.#log(partition).retention = retention
  }

  onInternalPinned(): void {}

  onCheckpoint(): void {}

  takeRecoveredBatches(): readonly RecoveredBatch[] {
    return []
  }

  diskUsage(): { readonly logBytes: number; readonly viewBytes: number; readonly budgetBytes: number } {
    return { logBytes: this.#pool.usedBytes, viewBytes: 0, budgetBytes: this.#options.budgetBytes }
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    if (this.writable) {
      const group = this.#gatherer.special(groupFlags.witness)
      this.#pipeline.pump()
      await this.#waiters.wait(groupNumber(group.number)).catch(() => {})
    }
    await this.#writer.close()
    await this.#pool.close()
    this.#tail.clear()
    this.#cache.clear()
  }

  #log(partition: PartitionId): PartitionLog {
    const log = this.#logs.get(partition)
    assert(log !== undefined, `partition ${partition} is open`)
    return log
  }

  #checkWritable(): void {
    if (this.#pipeline.failure !== undefined) throw this.#pipeline.failure
    if (this.#closing) throw new BrokerError('shuttingDown', 'the log is closing')
  }
}
