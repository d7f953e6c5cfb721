import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import { firstTopicPartitionId, logControlPartition } from './log.ts'
import { arenaCount, reservedSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { SlotPool } from './slot-pool.ts'

/** For headers, padding and the footer's growth; and for the record that publishes a cold segment, which always has its place. */
const marginBytes = 64 * 1024
/** Eviction and cleaning that are under way need less; who waits longer is told. */
const waitMs = 5000

/** What waits in all arenas never takes so many slots, however badly it fits. */
const plentySlots = 2 * arenaCount

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
    if (this.#hasSlots(bytes, isTopic ? reservedSlots : this.#internalReserve)) return
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
    if (this.#slots > reservedSlots) this.#shortSinceMs = undefined
    this.#pipeline.pump()
  }

  /** Why topic data is not taken in at the moment; undefined: it is. */
  get shortage(): string | undefined {
    if (this.#slots > reservedSlots) return undefined
    // a small record may still fit where a large one did not
    return this.#shortSinceMs !== undefined || !this.#fitsActive(0) ? this.#reason : undefined
  }

  #refuseTopic({ compaction }: PartitionLog, isExhausted: boolean): never {
    if (this.#slots > reservedSlots) {
      // the next sync makes room
      this.#pipeline.hasten(this.#pipeline.ackableGroup)
      throw new BrokerError('spaceAwaited', 'too much waits for the slots that are left')
    }
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

  /** On a full file system internal data may have the last slot: those that the cleaner needs can be made again by deleting. */
  get #internalReserve(): number {
    return this.#pool.outOfSpace ? 0 : reservedSlots - 1
  }

  /** Slots that could be taken now; on a full file system those that are not prepared do not count. */
  get #slots(): number {
    const { outOfSpace, freeCount, available } = this.#pool
    return outOfSpace ? freeCount : available
  }

  /** Slots that are left when the reserve is not touched by what waits already. Exact where it is scarce: groups leave part of each slot unused. */
  #hasSlots(bytes: number, reserve: number): boolean {
    const left = this.#slots - reserve
    if (left > plentySlots) return true
    const { waitingBytes } = this.#pipeline
    return left > 0 && (waitingBytes === 0 || waitingBytes + bytes <= (left * this.#pool.slotBytes) / 2)
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
