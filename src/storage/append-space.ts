import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import { firstTopicPartitionId, logControlPartition } from './log.ts'
import { reservedSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { SlotPool } from './slot-pool.ts'

/** For headers, padding and the footer's growth; and for the record that publishes a cold segment, which always has its place. */
const marginBytes = 64 * 1024

/** Whoever makes room when appends are refused. */
interface RoomMaker {
  soon(): void
  /** Internal records have no place: the active segment is to be sealed, so that it can be cleaned. */
  internalRefused(): void
  /** All that could go has gone: what is left is the newest record of each key. */
  readonly isExhausted: boolean
}

/**
 * Whether an append may be taken in. Topic data leaves the whole reserve; internal data leaves the cleaner's part of it; records of the log control
 * partition, with which space is given back, always go in.
 */
export class AppendSpace {
  readonly #pool: SlotPool
  readonly #segments: SegmentWriter
  readonly #pipeline: CommitPipeline
  readonly #metrics: Metrics
  readonly #room: () => RoomMaker

  constructor(
    pool: SlotPool,
    segments: SegmentWriter,
    pipeline: CommitPipeline,
    metrics: Metrics,
    room: () => RoomMaker,
  ) {
    this.#pool = pool
    this.#segments = segments
    this.#pipeline = pipeline
    this.#metrics = metrics
    this.#room = room
  }

  /**
   * Throws `storageFull` when `bytes` for these partitions have a place neither in the active segment nor in a slot outside the reserve;
   * `policyViolation` when no room will come because all of the log is live data of compacted topics.
   */
  check(bytes: number, logs: readonly PartitionLog[]): void {
    let strictest: PartitionLog | undefined
    for (const log of logs) if (strictest === undefined || log.id > strictest.id) strictest = log
    if (strictest !== undefined) this.checkOne(bytes, strictest)
  }

  /** As `check`, for one partition; the hot path. */
  checkOne(bytes: number, { id, compaction }: PartitionLog): void {
    const { outOfSpace, freeCount, available } = this.#pool
    const isTopic = id >= firstTopicPartitionId
    const reserve = isTopic ? reservedSlots : reservedSlots - 1
    if (outOfSpace ? freeCount > 0 : available > reserve) return
    if (id === logControlPartition) return
    if (this.#pipeline.waitingBytes + bytes + marginBytes <= this.#segments.activeRoomBytes) return
    const room = this.#room()
    this.#metrics.add('storageFull')
    room.soon()
    if (!isTopic) room.internalRefused()
    if (compaction !== undefined && room.isExhausted && !outOfSpace && isTopic) {
      throw new BrokerError(
        'policyViolation',
        'the newest records of all keys fill disk.budget; delete a topic, or raise it',
      )
    }
    throw new BrokerError('storageFull', 'no slot of the log is free; disk.budget or the file system is full')
  }
}
