import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Clock } from '../platform/clock.ts'
import type { OpenCommitWriter } from '../platform/commit-writer.ts'
import type { Files } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import type { Random } from '../platform/random.ts'
import type { CommitLinger } from './commit-linger.ts'

/** The parts of the platform that the log stands on. The store is open; `views/` is its caller's. */
export interface StoragePlatform {
  readonly clock: Clock
  readonly files: Files
  readonly random: Random
  readonly logger: Logger
  readonly openCommitWriter: OpenCommitWriter
  readonly checkpoints: CheckpointStore
}

export interface CommitLogOptions {
  /** The data directory, absolute; `meta` and `log/` are made in it. The caller holds its lock. */
  readonly directory: string
  /** Bytes for slots in all. */
  readonly budgetBytes: number
  /** Bytes of `disk.budget` that are for views; only reported. */
  readonly viewBudgetBytes?: number
  /** Prepare every slot of the budget in the background, so that a full file system is not a state we run into. */
  readonly reserve: boolean
  /** Only for a new directory; derived from the budget when absent. */
  readonly slotBytes?: number
  /** A group that gathers this many bytes is closed and waits for its turn. */
  readonly commitMaxBytes: number
  /** How long a commit waits for more records under load; not at all when absent. Ended by its owner before the log is closed. */
  readonly linger?: CommitLinger
  /** By when relaxed records are on the device, counted from when they could be acknowledged; a second when absent. */
  readonly relaxedSyncMs?: number
  /** `always` starts every group on a new block: for cards where a power cut damages the neighbours of what is written. */
  readonly align: 'auto' | 'always'
  /** The largest batch that `append` takes. */
  readonly maxMessageBytes: number
  /** The largest packet that a front takes; only compared with the size of slots. */
  readonly maxPacketBytes?: number
  /** Of topic partitions without `setRetention`; -1 means no limit. */
  readonly retention: { readonly ms: number; readonly bytes: number }
  /** Resolves once retention and compaction are set for whatever the log holds: before, nothing of it is taken away. Absent: it may at once. */
  readonly rulesSet?: Promise<void>
  /** Gap records kept one by one; past it the oldest are summed. */
  readonly gapsMax?: number
  /** Bytes of recent groups kept for readers at the tail. */
  readonly tailBytes?: number
  /** Bytes of the block cache. */
  readonly cacheBytes?: number
  readonly memory: MemoryBudget
  readonly metrics: Metrics
}

const MiB = 1024 * 1024
const slotBytesRange = { min: 4 * MiB, max: 64 * MiB } as const

export const defaultRelaxedSyncMs = 1000

/** Slots that only the cleaner takes, and the group that publishes what it wrote. */
export const cleanerSlots = 2
/**
 * Slots that ordinary appends never take: those of the cleaner, and two for internal partitions, so that their records can be compacted into one while
 * they fill the other.
 */
export const reservedSlots = cleanerSlots + 2
/** Spare slots that are kept free above the reserve, so that a full segment hardly ever waits for room to be made. */
export const spareSlots = (maxSlots: number): number => Math.min(4, Math.ceil(maxSlots / 12))

/** Reserve, an active slot, two ahead, and two with data. */
export const minSlots = 8

/** Slot size of a new data directory: a 64th of the budget within 4 to 64 MiB. */
export const slotBytesFor = (budgetBytes: number): number => {
  const wanted = Math.floor(budgetBytes / 64 / MiB) * MiB
  return Math.min(slotBytesRange.max, Math.max(slotBytesRange.min, wanted))
}

/** Arenas of the commit writer: one under way, one that gathers, two that wait. */
export const arenaCount = 4

/** Slots that the budget pays for. */
export const maxSlotsFor = (budgetBytes: number, slotBytes: number): number =>
  Math.max(minSlots, Math.floor(budgetBytes / slotBytes))

/** The part of `disk.budget` that is for views. */
export const viewBytesFor = (diskBudgetBytes: number): number =>
  Math.max(leastViewBytes, Math.min(64 * MiB, Math.floor(diskBudgetBytes / viewShare)))

const leastViewBytes = 8 * MiB
const viewShare = 16

/** The least `disk.budget`, in whole MiB, of which so many bytes are left for slots. */
export const diskBudgetFor = (logBytes: number): number => {
  const withViews = Math.max(logBytes + leastViewBytes, (logBytes * viewShare) / (viewShare - 1))
  return Math.ceil(Math.min(withViews, logBytes + 64 * MiB) / MiB) * MiB
}
