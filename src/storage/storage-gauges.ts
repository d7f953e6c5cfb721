import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { RecoveredLog } from './recover-log.ts'

/** Lets the metrics sample what the log occupies. */
export const sampleStorage = (
  metrics: Metrics,
  { pool, segments }: RecoveredLog,
  checkpoints: CheckpointStore,
): void => {
  const slots = (): ReadonlyMap<string, number> =>
    new Map([
      ['hot', segments.filter(({ isCold }) => !isCold).length],
      ['cold', segments.filter(({ isCold }) => isCold).length],
      ['free', pool.freeCount],
      ['quarantined', pool.quarantinedCount],
      ['bad', pool.badCount],
    ])
  metrics.gauge('storageSlots', slots)
  const bytes = (): ReadonlyMap<string, number> =>
    new Map([
      ['log', pool.usedBytes],
      ['views', checkpoints.usedBytes()],
    ])
  metrics.gauge('storageBytes', bytes)
}
