import { type Clock, sleep } from '../platform/clock.ts'
import type { Random } from '../platform/random.ts'
import { BatchReader } from './batch-reader.ts'
import type { CleanedLog } from './cleaner.ts'
import type { CompactedLog } from './compactor.ts'
import type { ControlWriter } from './control-writer.ts'
import type { DamageReports } from './damage-reports.ts'
import { reservedSlots, spareSlots } from './options.ts'
import type { PartitionLog } from './partition-log.ts'
import type { RecoveredLog } from './recover-log.ts'
import { noNewestBytes, SegmentScan } from './segment-scan.ts'

/** What the parts of the running log give to the cleaner. */
export interface CleanedParts {
  readonly recovered: RecoveredLog
  readonly removing: ReadonlyMap<number, PartitionLog>
  readonly control: ControlWriter
  readonly clock: Clock
  readonly random: Random
  logAge(): number
  isWritable(): boolean
  readonly damage: DamageReports
  /** The next group begins another segment. */
  sealActive(): void
  footersWritten(): Promise<void>
}

/** Longest wait between two chunks. */
const maxPauseMs = 100

/** The log as the cleaner and the compactor see it. */
export const cleanedLog = (parts: CleanedParts): CleanedLog & CompactedLog => {
  const { recovered, removing, control, clock, random, damage } = parts
  const { pool, logs, segments, meta, indexLoader } = recovered
  let newest = segments.reduce((most, { isCold, sequence }) => (isCold ? Math.max(most, sequence) : most), 0)
  // numbers of cold segments that went are not used again while a record may name them
  for (const sequence of recovered.control.cold.keys()) newest = Math.max(newest, sequence)
  const onLost = (log: PartitionLog, first: number, last: number): void =>
    damage.report(log, first, last, parts.logAge())
  let chunkSinceMs = clock.monotonicMs()
  return {
    segments,
    slotBytes: meta.slotBytes,
    logId: meta.logId,
    get logAge() {
      return parts.logAge()
    },
    logs: () => logs.values(),
    scanReader: new BatchReader(noNewestBytes, new SegmentScan(), span => indexLoader.blocks(span), onLost),
    sealActive: () => parts.sealActive(),
    get footersDue() {
      return !pool.outOfSpace && segments.some(({ sealed, hasFooter }) => sealed && !hasFooter)
    },
    footersWritten: () => parts.footersWritten(),
    logOf: partition => logs.get(partition) ?? removing.get(partition),
    nextSequence: () => ++newest,
    newSecret: () => random.bytes(16),
    newSalt: () => random.bytes(8).readBigUInt64BE(0),
    takeSlot: async () => {
      const slot = pool.take()
      if (slot === undefined) return undefined
      chunkSinceMs = clock.monotonicMs()
      return (await pool.whenPrepared(slot)) ? slot : undefined
    },
    releaseSlot: slot => pool.release(slot, meta.logId),
    rewriteControl: () => control.rewrite(),
    writeControl: records => control.write(records),
    addSegment: segment => void segments.unshift(segment),
    onLost,
    lossesRecorded: () => damage.recorded(),
    pause: async () => {
      const spentMs = clock.monotonicMs() - chunkSinceMs
      // half of the time is left to others while there is room, less and less of it until appends are refused
      const ease = Math.max(0, Math.min(1, (pool.available - reservedSlots - 1) / spareSlots(pool.maxSlots)))
      if (ease > 0) await sleep(clock, Math.min(maxPauseMs, spentMs * ease))
      chunkSinceMs = clock.monotonicMs()
    },
    isOpen: () => parts.isWritable(),
  }
}
