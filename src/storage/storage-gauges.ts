import type { Metrics } from '../core/metrics.ts'
import type { RecoveredLog } from './recover-log.ts'

/** Lets the metrics sample what the log occupies. */
export const sampleStorage = (metrics: Metrics, { pool, segments }: RecoveredLog): void => {
  const slots = (): ReadonlyMap<string, number> =>
    new Map([
      ['hot', segments.length],
      ['free', pool.freeCount],
    ])
  metrics.gauge('storageSlots', slots)
  metrics.gauge('storageBytes', () => new Map([['log', pool.usedBytes]]))
}
