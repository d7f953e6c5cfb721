import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { type EvictableParts, evictableLog } from './evictable-log.ts'
import { Eviction } from './eviction.ts'
import { Housekeeping } from './housekeeping.ts'

const retentionCheckMs = 10_000

/** Retention and eviction, checked regularly and when asked for, while the log can be written. */
export const makeRoom = (
  parts: EvictableParts & { clock: Clock; metrics: Metrics; logger: Logger; isWritable(): boolean },
): Housekeeping => {
  const eviction = new Eviction(evictableLog(parts), parts.metrics, parts.logger)
  return new Housekeeping(parts.clock, retentionCheckMs, () => {
    if (parts.isWritable()) void eviction.check()
  })
}
