import { type PartitionId, partitionId } from '../core/brand.ts'
import { StartError } from '../core/errors.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Logger } from '../platform/logger.ts'
import { HEADER_BYTES, producerIdOf } from '../wire/kafka/record-batch.ts'
import { BatchReader } from './batch-reader.ts'
import { BlockCache } from './block-cache.ts'
import { type Checkpoint, readCheckpoint } from './checkpoint.ts'
import { readColdIndex, takeColdSegments, withoutHeld } from './cold-recovery.ts'
import type { ControlRecord } from './control-record.ts'
import { logDirectory, openDataDirectory, writeMeta } from './data-directory.ts'
import { withoutDuplicates } from './duplicate-segments.ts'
import { frameBatchBytes, frameHeaderBytes, framePartition } from './frame.ts'
import type { ChainLink } from './group-scan.ts'
import { IndexLoader } from './index-loader.ts'
import { blockBytes } from './layout.ts'
import { firstTopicPartitionId, logControlPartition, type RecoveredBatch } from './log.ts'
import type { LogAgeMark } from './log-age.ts'
import { controlRecords, LogControl, type Losses } from './log-control.ts'
import { type Meta, maxStarts } from './meta.ts'
import { type FoundSegments, readSlotHeaders } from './open-segments.ts'
import { type CommitLogOptions, maxSlotsFor, type StoragePlatform, slotBytesFor } from './options.ts'
import { newParent } from './parent-log.ts'
import { PartitionLog } from './partition-log.ts'
import { type LostOffsets, Recovery } from './recovery.ts'
import { movedBytes, writeInPlace, writeNewestAgain, writeNewestElsewhere } from './rewrite-newest.ts'
import type { Segment } from './segment.ts'
import type { Slot } from './slot-file.ts'
import { markFree } from './slot-file.ts'
import { repairSlotHeaders } from './slot-header-repair.ts'
import { SlotPool } from './slot-pool.ts'
import { checkSlotSize } from './slot-size-check.ts'
import { Tail } from './tail.ts'

const MiB = 1024 * 1024
const defaultGapsMax = 1000
/** Block indexes of sealed segments take at most this part of what blocks take. */
const indexShare = 2

/** The state of the log as its bytes say, and the parts that serve it. */
export interface RecoveredLog {
  readonly meta: Meta
  readonly pool: SlotPool
  readonly tail: Tail
  readonly cache: BlockCache
  readonly indexLoader: IndexLoader
  readonly logs: Map<number, PartitionLog>
  /** See `Log.nextPartition`. */
  readonly nextPartition: PartitionId
  /** Cold ones first, then hot ones, oldest first; the last one is active. */
  readonly segments: Segment[]
  /** Dead ones whose slots are not marked free on the device yet: until then a start would find them. */
  readonly leaving: Set<Segment>
  readonly control: LogControl
  /** What the log control partition says behind the checkpoint. */
  readonly unrepeated: readonly ControlRecord[]
  readonly chain: ChainLink
  readonly logAgeMark: LogAgeMark | undefined
  /** Damage that no record names yet. */
  readonly losses: Losses
  readonly producerBatches: readonly RecoveredBatch[]
}

/**
 * Start and recovery up to the point where the log may be written: everything that was durable is found, the newest groups are written
 * again, and `meta` names the new start. Doing it twice gives the same.
 */
export const recoverLog = async (platform: StoragePlatform, options: CommitLogOptions): Promise<RecoveredLog> => {
  const { files, random } = platform
  const logger = platform.logger.child('storage')
  const newSlotBytes = options.slotBytes ?? slotBytesFor(options.budgetBytes)
  const meta = await openDataDirectory(files, random, options.directory, newSlotBytes)
  const { slotBytes } = meta
  checkSlotSize(options, slotBytes)
  const directory = logDirectory(options.directory)
  await files.makeDirectory(directory)
  const maxSlots = maxSlotsFor(options.budgetBytes, slotBytes)
  const pool = new SlotPool({ ...platform, logger }, options.metrics, {
    directory,
    slotBytes,
    maxSlots,
    reserve: options.reserve,
  })
  try {
    return await recoverFrom(platform, options, meta, directory, pool)
  } catch (error) {
    await pool.close()
    throw error
  }
}

const recoverFrom = async (
  platform: StoragePlatform,
  options: CommitLogOptions,
  meta: Meta,
  directory: string,
  pool: SlotPool,
): Promise<RecoveredLog> => {
  const { files, random, checkpoints } = platform
  const logger = platform.logger.child('storage')
  for (const name of await files.list(directory)) await pool.adoptFile(name)
  const checkpoint = readCheckpoint(checkpoints, meta.logId)
  const scanned = await scanAndRewrite(pool, meta, checkpoint, options.align, checkpoints, logger)
  const { recovery, controlBatches, producerBatches } = scanned

  const { memory, metrics, tailBytes = 4 * MiB, cacheBytes = 8 * MiB } = options
  const tail = new Tail(tailBytes, memory)
  const cache = new BlockCache(cacheBytes, memory, metrics)
  const indexLoader = new IndexLoader({ logger, tail, cache, memory }, cacheBytes / indexShare)
  const control = new LogControl(options.gapsMax ?? defaultGapsMax)
  const { logs } = recovery
  if (checkpoint === undefined) {
    const reader = new BatchReader(
      tail,
      cache,
      span => indexLoader.blocks(span),
      () => {},
    )
    const all = logs.get(logControlPartition)
    if (all !== undefined) await replayControl(reader, all, control)
  } else applyAll(control, [checkpoint.control, ...controlBatches])
  const knowsStarts = checkpoint !== undefined || startsAreKnown(logs, control)
  const lostStarts = knowsStarts ? takeLostStarts(logs, control) : []
  const { found } = scanned
  const cold = await takeColdSegments({ found, control, logs, tail, cache, logger })
  const segments = [...cold, ...scanned.segments]
  await settleSlots(pool, meta, found, segments)
  const logEnds = unseenLogEnds(logs, control)
  applyControl(control, logs)
  markDamaged(logs, control)
  report(recovery, options, logger)

  const logEpoch =
    Math.max(meta.starts.at(-1)?.logEpoch ?? -1, scanned.segments.length > 0 ? recovery.logEpoch : -1) + 1
  const salt = random.bytes(8).readBigUInt64BE(0)
  const started: Meta = { ...meta, starts: [...meta.starts, { logEpoch, salt }].slice(-maxStarts) }
  await writeMeta(files, options.directory, started)
  const lost = withoutHeld([...lostStarts, ...recovery.lost], logs).flatMap(({ partition, first, last }) => {
    const log = logs.get(partition)
    if (log === undefined || last < log.logStart || control.gaps.covers(log.id, first, last)) return []
    return [{ partition, first: Math.max(first, log.logStart), last }]
  })
  if (lost.length > 0) options.metrics.add('storageGaps', lost.length, 'damage')
  const { chain, logAgeMark } = recovery
  return {
    meta: started,
    pool,
    tail,
    cache,
    indexLoader,
    logs,
    nextPartition: nextPartitionAfter([logs.keys(), control.removed]),
    segments,
    leaving: new Set(),
    control,
    unrepeated: controlBatches.flatMap(batch => [...controlRecords(batch)]),
    chain,
    logAgeMark,
    losses: { lost, logEnds, parent: newParent(meta, control, logs) },
    producerBatches,
  }
}

interface Scanned {
  readonly found: FoundSegments
  readonly recovery: Recovery
  /** Hot ones. */
  readonly segments: Segment[]
  /** Of the log control partition, behind the checkpoint. */
  readonly controlBatches: readonly Buffer[]
  readonly producerBatches: readonly RecoveredBatch[]
}

const scanSegments = async (
  pool: SlotPool,
  meta: Meta,
  checkpoint: Checkpoint | undefined,
  checkpoints: CheckpointStore,
  logger: Logger,
): Promise<Scanned> => {
  const logIds = new Set([meta.logId, ...meta.ancestors.map(ancestor => ancestor.logId)])
  const found = await readSlotHeaders(pool.slots, logIds, logger)
  const salts = new Set(meta.starts.map(start => start.salt))
  for (const { header } of found.segments) salts.add(header.salt)
  const known = { logId: meta.logId, slotBytes: meta.slotBytes, salts }
  for (const repaired of await repairSlotHeaders(found.unreadable, found.segments, known, logger)) {
    const others = repaired.isCold ? found.cold : found.segments
    others.push(repaired)
  }
  for (const some of [found.segments, found.cold]) some.sort((one, other) => one.sequence - other.sequence)
  for (const segment of found.cold) await readColdIndex(segment, checkpoint === undefined ? undefined : checkpoints)
  const controlBatches: Buffer[] = []
  const producerBatches: RecoveredBatch[] = []
  const recovery = new Recovery(salts, (group, bytes, at) => {
    const batch = bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + frameBatchBytes(bytes, at))
    const partition = partitionId(framePartition(bytes, at))
    // what a segment from before the checkpoint says is in it already, and newer
    const isNews = checkpoint === undefined || group > checkpoint.chain.group
    if (partition === logControlPartition && isNews) controlBatches.push(Buffer.from(batch))
    if (producerIdOf(batch) < 0) return
    producerBatches.push({ partition, header: Buffer.from(batch.subarray(0, HEADER_BYTES)) })
  })
  const hot = await withoutDuplicates(found.segments, logger)
  const segments = await recovery.run(hot, checkpoints, checkpoint, found.cold)
  return { found, recovery, segments, controlBatches, producerBatches }
}

/** Finds the log, and writes its newest groups again; where that has to be in another slot, the log is looked for once more. */
const scanAndRewrite = async (
  pool: SlotPool,
  meta: Meta,
  checkpoint: Checkpoint | undefined,
  align: 'auto' | 'always',
  checkpoints: CheckpointStore,
  logger: Logger,
): Promise<Scanned> => {
  const scanned = await scanSegments(pool, meta, checkpoint, checkpoints, logger)
  const last = scanned.segments.at(-1)
  if (last === undefined) return scanned
  const newest = scanned.recovery.newest.filter(({ segment }) => segment === last)
  const rewritten = await writeNewestAgain(last, newest, align, logger)
  if (rewritten === 'done') return scanned
  // the cut beginning of a segment behind the last one has the sequence that the copies get
  for (const { slot, sequence } of scanned.found.segments) {
    if (sequence > last.sequence) await markFree(slot, meta.logId, meta.slotBytes)
  }
  // a cold segment may have been published
  const inUse = new Set([...scanned.segments, ...scanned.found.cold].map(segment => segment.slot))
  const slots = pool.spares(inUse, movedBytes(newest))
  if (await writeNewestElsewhere(newest, slots, logger)) {
    return scanSegments(pool, meta, checkpoint, checkpoints, logger)
  }
  if (rewritten === 'refused') {
    throw new StartError(
      65,
      `the newest records, in ${last.slot.path}, cannot be written again and no other slot takes them: ` +
        'the device refuses writes or is full; free some space, or replace it',
    )
  }
  await writeInPlace(last, newest[0])
  return scanned
}

const nextPartitionAfter = (known: readonly Iterable<number>[]): PartitionId => {
  let next: number = firstTopicPartitionId
  for (const partitions of known) for (const partition of partitions) next = Math.max(next, partition + 1)
  return partitionId(next)
}

/** The log control partition is there from its beginning: it tells where every other one begins. */
const startsAreKnown = (logs: ReadonlyMap<number, PartitionLog>, control: LogControl): boolean => {
  const own = logs.get(logControlPartition)
  return own !== undefined && own.logStart <= (control.logStarts.get(logControlPartition) ?? 0)
}

/** First offsets of partitions that no record took away and no segment has: they were in a slot that is lost. */
const takeLostStarts = (logs: ReadonlyMap<number, PartitionLog>, control: LogControl): LostOffsets[] => {
  const lost: LostOffsets[] = []
  for (const log of logs.values()) {
    const start = control.logStarts.get(log.id) ?? 0
    if (log.logStart <= start || control.removed.has(log.id)) continue
    lost.push({ partition: log.id, first: start, last: log.logStart - 1 })
    log.logStart = start
  }
  return lost
}

/** Ends of partitions that damage raised above what their batches show, and that no record tells yet. */
const unseenLogEnds = (logs: ReadonlyMap<number, PartitionLog>, control: LogControl): Map<number, number> => {
  const ends = new Map<number, number>()
  for (const { id, logEnd, spans } of logs.values()) {
    const seen = Math.max(spans.at(-1)?.endOffset ?? 0, control.logEnds.get(id) ?? 0, control.logStarts.get(id) ?? 0)
    if (logEnd > seen && !control.removed.has(id)) ends.set(id, logEnd)
  }
  return ends
}

/** Slots without a part of the log are marked free before anything else is written. */
const settleSlots = async (
  pool: SlotPool,
  meta: Meta,
  found: FoundSegments,
  kept: readonly Segment[],
): Promise<void> => {
  const keptSlots = new Set(kept.map(segment => segment.slot))
  for (const { slot } of [...found.segments, ...found.cold]) {
    if (!keptSlots.has(slot)) await pool.discard(slot, meta.logId)
  }
  for (const slot of found.unreadable) {
    // zeros that can be read are a slot that was prepared and never used
    if (!keptSlots.has(slot) && (slot.damaged || (await hasContent(slot)))) {
      slot.damaged = true
      await pool.discard(slot, meta.logId)
    }
  }
  for (const slot of [...pool.slots]) await pool.settle(slot, !keptSlots.has(slot))
  pool.settled()
}

const hasContent = async ({ file, preparedBytes }: Slot): Promise<boolean> => {
  const start = Buffer.alloc(Math.min(preparedBytes, 2 * blockBytes))
  await file.read(start, 0)
  return start.some(byte => byte !== 0)
}

/** All records of the log control partition, oldest first. */
const replayControl = async (reader: BatchReader, log: PartitionLog, control: LogControl): Promise<void> => {
  let offset = log.logStart
  while (offset < log.highWatermark) {
    const { batches, nextOffset } = await reader.read(log, offset, MiB, log.highWatermark)
    for (const batch of batches) control.applyBatch(batch)
    if (nextOffset === offset) return
    offset = nextOffset
  }
}

/**
 * A snapshot among them no longer names removed partitions of which nothing was left in the log; the checkpoint's summaries may still do. Ids are not
 * used twice: what was removed stays so.
 */
const applyAll = (control: LogControl, batches: readonly Buffer[]): void => {
  const removed = new Set<number>()
  for (const batch of batches) {
    control.applyBatch(batch)
    for (const partition of control.removed) removed.add(partition)
  }
  for (const partition of removed) control.removed.add(partition)
}

/** Log starts and removals rule over what the segments hold. */
const applyControl = (control: LogControl, logs: Map<number, PartitionLog>): void => {
  for (const partition of control.removed) logs.delete(partition)
  for (const [partition, offset] of control.logStarts) {
    let log = logs.get(partition)
    if (log === undefined) logs.set(partition, (log = new PartitionLog(partitionId(partition))))
    // all of its data has gone: offsets go on where they were
    if (offset > log.logEnd) {
      log.logEnd = offset
      log.advanceHighWatermark(offset)
    }
    log.advanceLogStart(offset)
    log.durableLogStart = log.logStart
  }
  for (const [partition, offset] of control.logEnds) {
    let log = logs.get(partition)
    if (log === undefined) logs.set(partition, (log = new PartitionLog(partitionId(partition))))
    if (offset > log.logEnd) {
      log.logEnd = offset
      log.advanceHighWatermark(offset)
    }
  }
}

/** Slots with stretches of which a gap record says that they are damaged: also what an earlier start, or a reader, found. */
const markDamaged = (logs: ReadonlyMap<number, PartitionLog>, control: LogControl): void => {
  for (const { partition, first, last, reason } of control.gaps.list) {
    const spans = reason === 'damage' ? logs.get(partition)?.spans : undefined
    // a stretch lost at the end of a segment is in none of its spans
    for (const { segment, from, endOffset } of spans ?? []) {
      if (from <= last && endOffset >= first) segment.slot.damaged = true
    }
  }
}

const report = (recovery: Recovery, options: CommitLogOptions, logger: Logger): void => {
  const { metrics } = options
  if (recovery.tornTail) {
    metrics.add('storageTornTails')
    logger.warn(
      { group: recovery.chain.group + 1 },
      'the newest group is cut and dropped: by the last stop, then only relaxed records in it were acked, or by damage',
    )
  }
  if (recovery.damagedRanges > 0) {
    metrics.add('storageDamages', recovery.damagedRanges, 'group')
    logger.error({ ranges: recovery.damagedRanges }, 'the log is damaged, what is lost becomes gap records')
  }
}
