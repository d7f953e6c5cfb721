import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import { firstTopicPartitionId, logControlPartition } from './log.ts'
import { reservedSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { SlotPool } from './slot-pool.ts'

/** For headers, padding and the footer's growth; and for the record that publishes a cold segment, which always has its place. */
const marginBytes = 64 * 1024
/** Eviction and cleaning that are under way need less; who waits longer is told. */
const waitMs = 5000

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
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #room: () => RoomMaker
  /** Since when topic data has found no place; undefined while a slot is left to it, or nobody has asked. */
  #shortSinceMs: number | undefined

  constructor(
    pool: SlotPool,
    segments: SegmentWriter,
    pipeline: CommitPipeline,
    clock: Clock,
    metrics: Metrics,
    room: () => RoomMaker,
  ) {
    this.#pool = pool
    this.#segments = segments
    this.#pipeline = pipeline
    this.#clock = clock
    this.#metrics = metrics
    this.#room = room
  }

  /**
   * Throws when `bytes` for these partitions have a place neither in the active segment nor in a slot outside the reserve: topic data
   * `spaceAwaited` for the first five seconds, then `storageFull`; internal data `storageFull` at once. `policyViolation`: no room will come,
   * because all of the log is live data of compacted topics.
   */
  check(bytes: number, logs: readonly PartitionLog[]): void {
    let strictest: PartitionLog | undefined
    for (const log of logs) if (strictest === undefined || log.id > strictest.id) strictest = log
    if (strictest !== undefined) this.checkOne(bytes, strictest)
  }

  /** As `check`, for one partition; the hot path. */
  checkOne(bytes: number, log: PartitionLog): void {
    const isTopic = log.id >= firstTopicPartitionId
    if (isTopic ? this.#slotIsLeft : this.#internalSlotIsLeft) return
    if (log.id === logControlPartition || this.#fitsActive(bytes)) return
    const room = this.#room()
    room.soon()
    if (isTopic) this.#refuseTopic(log, room.isExhausted)
    room.internalRefused()
    this.#metrics.add('storageFull')
    throw new BrokerError('storageFull', this.#reason)
  }

  /** A slot became free or was prepared further: a group that waits for it goes on. */
  changed(): void {
    if (this.#slotIsLeft) this.#shortSinceMs = undefined
    this.#pipeline.pump()
  }

  /** Why topic data is not taken in at the moment; undefined: it is. */
  get shortage(): string | undefined {
    if (this.#slotIsLeft) return undefined
    // a small record may still fit where a large one did not
    return this.#shortSinceMs !== undefined || !this.#fitsActive(0) ? this.#reason : undefined
  }

  #refuseTopic({ compaction }: PartitionLog, isExhausted: boolean): never {
    const nowMs = this.#clock.monotonicMs()
    this.#shortSinceMs ??= nowMs
    if (compaction !== undefined && isExhausted && !this.#pool.outOfSpace) {
      this.#metrics.add('storageFull')
      const reason = 'the newest records of all keys fill disk.budget; delete a topic, or raise it'
      throw new BrokerError('policyViolation', reason)
    }
    if (nowMs - this.#shortSinceMs < waitMs) throw new BrokerError('spaceAwaited', this.#reason)
    this.#metrics.add('storageFull')
    throw new BrokerError('storageFull', this.#reason)
  }

  /** On a full file system slots that are not prepared do not count. */
  get #slotIsLeft(): boolean {
    const { outOfSpace, freeCount, available } = this.#pool
    return (outOfSpace ? freeCount : available) > reservedSlots
  }

  get #internalSlotIsLeft(): boolean {
    const { outOfSpace, freeCount, available } = this.#pool
    return outOfSpace ? freeCount > 0 : available > reservedSlots - 1
  }

  #fitsActive(bytes: number): boolean {
    const { active } = this.#segments
    const isPartly = this.#pool.outOfSpace && active !== undefined && active.slot.preparedBytes < this.#pool.slotBytes
    const roomBytes = isPartly ? active.slot.preparedBytes - active.end : this.#segments.activeRoomBytes
    return this.#pipeline.waitingBytes + bytes + marginBytes <= roomBytes
  }

  get #reason(): string {
    return this.#pool.outOfSpace
      ? 'the file system of data.dir is full: free space on it; disk.reserve=true takes it ahead'
      : 'all slots of disk.budget hold data that is still needed: raise it, or shorten retention'
  }
}
