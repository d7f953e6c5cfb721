import { LineLimit } from '../broker/line-limit.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Client } from './client.ts'

const maxFilterLength = 128

/** Counts filters that are refused, and prints a line unless their reason had one just now: most clients do not look at SUBACK. */
export class SubscriptionRefusals {
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #lines: LineLimit<string>

  constructor(logger: Logger, clock: Clock, metrics: Metrics) {
    this.#logger = logger
    this.#metrics = metrics
    this.#lines = new LineLimit(clock)
  }

  /** `why`: of a closed set; `filter`: the first of them. */
  refused({ clientId, connection }: Client, why: string, filter: string, count = 1): void {
    this.#metrics.add('mqttRefused', count, why)
    const line = this.#lines.admit(why)
    if (line === undefined) return
    const fields = {
      clientId: clientId.slice(0, maxFilterLength),
      filter: filter.slice(0, maxFilterLength),
      count,
      why,
    }
    this.#logger.warn({ remote: connection.remote, ...fields, ...line }, 'mqtt subscription refused')
  }
}
