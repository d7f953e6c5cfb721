import { LineLimit } from '../broker/line-limit.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { RefusalReason } from './errors.ts'

/** Counts each connection that we close, and prints a line for it unless that reason had one just now. */
export class RefusalLog {
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #lines: LineLimit<RefusalReason>

  constructor(logger: Logger, clock: Clock, metrics: Metrics) {
    this.#logger = logger
    this.#metrics = metrics
    this.#lines = new LineLimit(clock)
  }

  closed(reason: RefusalReason, remote: string, why: string): void {
    this.#metrics.add('kafkaRefusedConnections', 1, reason)
    const line = this.#lines.admit(reason)
    if (line === undefined) return
    const fields = { reason, remote, why, ...line }
    if (reason === 'internal') this.#logger.error(fields, 'kafka connection closed')
    else this.#logger.warn(fields, 'kafka connection closed')
  }
}
