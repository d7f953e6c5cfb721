import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import { isEvictable } from './eviction-policy.ts'
import { type LogLookup, liveSpanBytes } from './live-bytes.ts'
import type { DiskUsage, LogBudget } from './log.ts'
import { type CommitLogOptions, diskBudgetFor, maxSlotsFor, minSlots, reservedSlots, spareSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { Segment } from './segment.ts'
import type { SlotPool } from './slot-pool.ts'

const MiB = 1024 * 1024
const daySeconds = 86_400
/** From less than this no rate is told. */
const least = { seconds: 600, bytes: MiB } as const
/** Copied together, live batches leave so much of a slot for headers and the footer. */
const packedShare = 0.95

/** `disk.budget` while the log runs: what is used of it, the least that would do, and another one. */
export class DiskBudget implements LogBudget {
  readonly #log: { readonly pool: SlotPool; readonly segments: readonly Segment[]; readonly logs: LogsById }
  readonly #checkpoints: CheckpointStore
  readonly #viewBytes: number
  readonly #onResize: () => void
  #logBytes: number

  constructor(
    log: { readonly pool: SlotPool; readonly segments: readonly Segment[]; readonly logs: LogsById },
    checkpoints: CheckpointStore,
    options: CommitLogOptions,
    onResize: () => void,
  ) {
    this.#onResize = onResize
    this.#log = log
    this.#checkpoints = checkpoints
    this.#logBytes = options.budgetBytes
    this.#viewBytes = options.viewBudgetBytes ?? 0
  }

  /** What the data directory occupies, and how long the budget lasts at the rate of the data that is in it. */
  usage(logAge: number, shortage: string | undefined): DiskUsage {
    const { pool, segments } = this.#log
    return {
      logBytes: pool.usedBytes,
      viewBytes: this.#checkpoints.usedBytes(),
      budgetBytes: this.#logBytes + this.#viewBytes,
      daysHeld: daysHeld(segments, (pool.maxSlots - reservedSlots) * pool.slotBytes, logAge),
      shortage: shortage ?? null,
    }
  }

  /** Kept are records of internal partitions and of topics that are only compacted; those that a compaction would remove still count. */
  get least(): LogBudget['least'] {
    const { pool, logs } = this.#log
    const logOf: LogLookup = partition => logs.get(partition)
    let keptBytes = 0
    for (const log of logs.values()) {
      if (!isEvictable(log)) for (const span of log.spans) keptBytes += liveSpanBytes(span, logOf)
    }
    const kept = Math.ceil(keptBytes / (pool.slotBytes * packedShare))
    const slots = Math.max(minSlots, reservedSlots + 1 + spareSlots(minSlots) + kept)
    const logBytes = slots * pool.slotBytes
    return { budgetBytes: Math.max(diskBudgetFor(logBytes), logBytes + this.#viewBytes), keptBytes }
  }

  /** The views keep their part until the next start. */
  resize(budgetBytes: number): void {
    const { pool } = this.#log
    this.#logBytes = budgetBytes - this.#viewBytes
    pool.resize(maxSlotsFor(this.#logBytes, pool.slotBytes))
    this.#onResize()
  }
}

type LogsById = ReadonlyMap<number, PartitionLog>

/** Bytes present over the log age that they cover, applied to what all slots but the reserve hold. Null while there is too little to tell. */
export const daysHeld = (segments: readonly Segment[], capacityBytes: number, logAge: number): number | null => {
  let bytes = 0
  let oldestAge = logAge
  for (const { end, spans } of segments) {
    bytes += end
    for (let row = 0; row < spans.size; row++) oldestAge = Math.min(oldestAge, spans.firstLogAge(row))
  }
  const seconds = logAge - oldestAge
  if (seconds < least.seconds || bytes < least.bytes) return null
  return Math.round(((capacityBytes / bytes) * seconds * 10) / daySeconds) / 10
}
