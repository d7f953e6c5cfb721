import type { MetricKey, Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { LineLimit } from './line-limit.ts'

const maxTextLength = 128

/** Who was refused what. */
export interface Refusal {
  /** `address:port`. */
  readonly remote: string
  /** As the peer gave it; undefined before it did. */
  readonly clientId?: string | undefined
  /** As the peer gave it; the first of `count`. */
  readonly filter?: string
  readonly count?: number
  /** What `reason` does not say. */
  readonly why?: string
}

/** Counts what peers are refused, and prints a line for it unless that reason had one just now. Reasons come from a closed set of ours. */
export class RefusalLog<Reason extends string> {
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #lines: LineLimit<Reason>
  readonly #metric: MetricKey
  readonly #event: string

  /** `metric` has the reason as its label; `event`: what the line says. */
  constructor(
    { logger, clock, metrics }: { readonly logger: Logger; readonly clock: Clock; readonly metrics: Metrics },
    metric: MetricKey,
    event: string,
  ) {
    this.#logger = logger
    this.#metrics = metrics
    this.#lines = new LineLimit(clock)
    this.#metric = metric
    this.#event = event
  }

  /** `internal` is a fault of ours: its line is an error. */
  refused(reason: Reason, { remote, clientId, filter, count, why }: Refusal): void {
    this.#metrics.add(this.#metric, count ?? 1, reason)
    const line = this.#lines.admit(reason)
    if (line === undefined) return
    const fields = {
      reason,
      remote,
      ...(clientId !== undefined && { clientId: clientId.slice(0, maxTextLength) }),
      ...(filter !== undefined && { filter: filter.slice(0, maxTextLength) }),
      ...(count !== undefined && { count }),
      ...(why !== undefined && { why }),
      ...line,
    }
    if (reason === 'internal') this.#logger.error(fields, this.#event)
    else this.#logger.warn(fields, this.#event)
  }
}
