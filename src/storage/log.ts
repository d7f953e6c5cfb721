import { type GroupNumber, type PartitionId, partitionId } from '../core/brand.ts'
import type { SegmentPins } from './segment-pins.ts'

/** One whole Kafka v2 record batch for one partition. */
export interface BatchAppend {
  readonly partition: PartitionId
  /** Validated by the caller (length, CRC, count). Copied before `append` returns; the log stamps base offset and leader epoch in its copy. */
  readonly batch: Buffer
}

/** A record for the open batch of its partition. */
export interface RecordAppend {
  readonly partition: PartitionId
  readonly timestampMs: number
  readonly key: Uint8Array | null
  /** Null: a tombstone. */
  readonly value: Buffer | null
  /** The encoded header array. */
  readonly headers: Uint8Array
}

export interface Appended {
  /** To be acknowledged when `whenAckable(group)` resolves, durable when `whenDurable(group)` does. All batches of one `append` are in this one group. */
  readonly group: GroupNumber
  /** Base offset given to each batch, in order. */
  readonly baseOffsets: readonly number[]
}

/** Why records left the log before they were deleted by hand. */
export type GapReason = 'budget' | 'retention' | 'damage'

/** A hole that a reader may meet: offsets `first` to `last` of the partition are gone. */
export interface Gap {
  readonly partition: PartitionId
  readonly first: number
  readonly last: number
  readonly reason: GapReason
  /** Log age in seconds at which it was found or made. */
  readonly logAge: number
}

/** An epoch of the log that has records in this partition, from `startOffset` on. */
export interface LeaderEpoch {
  readonly epoch: number
  readonly startOffset: number
}

export interface PartitionOffsets {
  /** First offset that can be read. */
  readonly logStart: number
  /** One past the last durable record; readers see nothing from here on. */
  readonly highWatermark: number
  /** One past the last record appended, durable or not. */
  readonly logEnd: number
}

export interface ReadBatches {
  /** Whole batches in offset order, the first one contains the offset asked for (or starts above it, where a gap lies). */
  readonly batches: readonly Buffer[]
  /** Log age at the append of each, in seconds. */
  readonly logAges: readonly number[]
  /** Offset to go on from: one past the last record of the last batch, further where a gap reaches up to the limit. */
  readonly nextOffset: number
}

/**
 * How records of a partition go once a newer record has their key: Kafka's `cleanup.policy=compact`. Offsets stay as they are, batches keep their
 * first and last. Times are log age.
 */
export interface Compaction {
  /** Part of the partition's bytes that must be new since the last pass; `min.cleanable.dirty.ratio`. */
  readonly minDirtyRatio: number
  /** And so many bytes at least. */
  readonly minDirtyBytes: number
  /** Younger records stay whatever comes after them. */
  readonly minLagMs: number
  /** A pass is due when a record has waited so long for it; Infinity: never for that. */
  readonly maxLagMs: number
  /** How long a tombstone stays after the pass that removed the older records of its key. */
  readonly deleteRetentionMs: number
  /** The oldest records may also go by retention and budget: `compact,delete`. */
  readonly alsoDeletes: boolean
  /** Nothing at or above it is judged; absent: all that is durable may be. */
  limitOffset?(): number
  /** The batch is the newest of a producer that may write on: it stays, empty if need be, because it carries the sequence number. */
  isLastOfProducer?(producerId: number, baseOffset: number): boolean
}

/** Header of a batch found by recovery after the last checkpoint, for the state that is derived from batch headers. */
export interface RecoveredBatch {
  readonly partition: PartitionId
  /** The first 61 bytes of the batch as stored: offset, epoch, producer id, epoch, sequence, count. */
  readonly header: Buffer
}

/** What goes first when the budget is used up; the topic config `retention.class`. */
export type RetentionClass = 'bulk' | 'normal' | 'critical'

/** What the oldest gap records were summed to. */
export interface SummedGaps {
  readonly count: number
  readonly records: number
}

/** When records of a partition go, and who has read them. */
export interface Retention {
  /** -1: no limit. Log age, never record timestamps. */
  readonly ms: number
  /** -1: no limit. */
  readonly bytes: number
  readonly class: RetentionClass
  /**
   * The offset below which every consumer group that commits positions of the partition has read, and the central cluster has all that goes up; 0
   * when there is no such group and it does not go up.
   */
  readThrough(): number
}

/** Bytes on disk by part. */
export interface DiskUsage {
  readonly logBytes: number
  readonly viewBytes: number
  /** `disk.budget`, for both. */
  readonly budgetBytes: number
  /** Days of data that the budget holds at the rate of what is in the log; null while that is too little to tell. */
  readonly daysHeld: number | null
  /** Why topic data is not taken in at the moment, and what helps; null: it is. */
  readonly shortage: string | null
}

/** `disk.budget` while the log runs. */
export interface LogBudget {
  /** The least budget: beside the reserve and room to work it holds `keptBytes` that must not go. */
  readonly least: { readonly budgetBytes: number; readonly keptBytes: number }
  /** Another budget, no less than the least: slots are made as they are needed, or deleted as the oldest data goes. */
  resize(budgetBytes: number): void
}

/** What an acknowledgement says: `commit`: the record is on the device; `relaxed`: the kernel has it, and the device within a second. */
export type Durability = 'commit' | 'relaxed'

/** Everything up to the group may be acknowledged; called in group order, before any `whenAckable` of the group resolves. */
export type AckableListener = (group: GroupNumber) => void

/** Called after each sync for each group that it made durable, in group order, before any `whenDurable` of the group resolves. */
export type DurableListener = (group: GroupNumber, partitions: readonly PartitionId[]) => void

/**
 * The commit log as the layers above see it. One thread; every method that changes the log is synchronous: what one synchronous
 * stretch appends by one call is atomic. Nothing appended is visible to `read` below `highWatermark`, nor promised, before its sync.
 *
 * Errors: appends throw `spaceAwaited` (no slot is left just now: try again soon), `storageFull` (none has been for seconds: retry), `storageFailed` (a write or sync failed: reads go on, writing
 * is over until restart), `memoryFull` (too much waits for the device: retry), `recordTooLarge`.
 */
export interface Log {
  /** 32 hex digits, made when the data directory was made. */
  readonly logId: string
  /** 16 hex digits, new at every start. */
  readonly incarnation: string
  /** Rises at every start; the leader epoch of what is appended now. */
  readonly logEpoch: number
  /** Seconds of the log's life, in which time without power does not count; retention and expiry go by it, never by record time. */
  readonly logAge: number
  /**
   * Above every partition of which this start found anything, removals included: what new partitions get where the record of the last id may be
   * damaged.
   */
  readonly nextPartition: PartitionId
  /** False once a write or a sync has failed. */
  readonly writable: boolean

  /** Makes the partition known, empty unless recovery found it. Callers record it durably in the same or an earlier group. */
  openPartition(partition: PartitionId): void
  /** All of its data is dead from now on (once the removal that the caller appended is durable). */
  removePartition(partition: PartitionId): void
  /** All partitions, those included that recovery found and nobody opened yet. */
  partitions(): Iterable<PartitionId>
  offsets(partition: PartitionId): PartitionOffsets
  /** Bytes of live batches. */
  sizeBytes(partition: PartitionId): number
  /** In order; never empty for a partition with data. */
  leaderEpochs(partition: PartitionId): readonly LeaderEpoch[]
  gaps(): readonly Gap[]
  /** Older gaps that are not listed any more: past `gaps.max` the oldest are summed. */
  summedGaps(): SummedGaps

  /** Appends all of `batches` in one group or none. */
  append(batches: readonly BatchAppend[]): Appended
  /**
   * Appends one record to the open batch of the partition: the hot path, no allocation. The value is `source[start, end)`;
   * `headers` is the encoded header array (varint count and all), shared between records. Returns the offset; the group is `openGroup`,
   * read after the call.
   */
  appendRecord(
    partition: PartitionId,
    timestampMs: number,
    key: Uint8Array | null,
    source: Buffer,
    start: number,
    end: number,
    headers: Uint8Array,
  ): number
  /** Appends all of `records` to the open batches of their partitions, in one group or none; returns the group. */
  appendRecords(records: readonly RecordAppend[]): GroupNumber
  /** The group that gathers now. What was appended last is in it or in an earlier one. */
  readonly openGroup: GroupNumber
  /** All up to here may be acknowledged: it is on the device; behind `durableGroup`, groups of relaxed partitions alone are with the kernel. */
  readonly ackableGroup: GroupNumber
  /** All up to here is on the device. */
  readonly durableGroup: GroupNumber
  /** Resolves once records of the group may be acknowledged, each as its partition's durability says; rejects with `storageFailed` when they never may be. */
  whenAckable(group: GroupNumber): Promise<void>
  /** Resolves once the group is on the device, relaxed groups with their sync in time. Rejects with `storageFailed` when it never will be. */
  whenDurable(group: GroupNumber): Promise<void>
  onAckable(listener: AckableListener): void
  onDurable(listener: DurableListener): void

  /**
   * Batches from the one that contains `offset`, at most `maxBytes` but at least one batch, all below `limitOffset`.
   * Throws `offsetOutOfRange` below the log start or above the log end. The buffers stay unchanged while referenced.
   */
  read(partition: PartitionId, offset: number, maxBytes: number, limitOffset: number): Promise<ReadBatches>
  /** Base offset of the first batch, at or after the log start, whose maximum timestamp is at least `timestampMs`; undefined when none is. */
  findBatchByTimestamp(partition: PartitionId, timestampMs: number): Promise<number | undefined>
  /** The largest record timestamp of the partition and the base offset of a batch that holds it; undefined when empty. */
  maxTimestamp(partition: PartitionId): Promise<{ baseOffset: number; timestampMs: number } | undefined>

  /** DeleteRecords: moves the log start up, durable with the returned group. No gap record: somebody asked for it. */
  advanceLogStart(partition: PartitionId, offset: number): GroupNumber
  /** Where records of storage itself are damaged (log starts, gaps), what is known of them is written again. Resolves when that is durable. */
  mendControl(): Promise<void>
  /**
   * What an acknowledgement of the partition's records means from the next group on; `commit` at first. A group with a `commit` record is synced as a whole. With
   * `align: 'always'` all are `commit`: where a write may damage its neighbours recovery saves one group, not many.
   */
  setDurability(partition: PartitionId, durability: Durability): void
  /** When records of the partition go; absent means the limits given at open and class `normal`. Internal partitions have none. */
  setRetention(partition: PartitionId, retention: Retention): void
  /** Whether and how the partition is compacted; undefined, as at first: it is not. */
  setCompaction(partition: PartitionId, compaction: Compaction | undefined): void
  /** Called before a checkpoint is written: what is appended here is covered by it. */
  onCheckpoint(before: () => void): void
  /** All segments as they are durable now, kept until they are released: for a backup. */
  pinSegments(): SegmentPins
  /** Batches with a producer id that recovery found after the checkpoint, in order; emptied by the call. */
  takeRecoveredBatches(): readonly RecoveredBatch[]
  diskUsage(): DiskUsage
  readonly budget: LogBudget

  /** Syncs what was appended, writes the witness group and the checkpoint, closes. */
  close(): Promise<void>
}

/** The partition of storage itself: log starts, gaps, starts of the log. */
export const logControlPartition = partitionId(0)

/** Internal partitions have ids below this; topics get theirs from here on. */
export const firstTopicPartitionId = 32
