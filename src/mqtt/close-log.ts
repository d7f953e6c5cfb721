import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { CloseReason } from './errors.ts'

const lineEveryMs = 10_000
const maxClientIdLength = 128

export interface Peer {
  /** `address:port`. */
  readonly remote: string
  /** Undefined before CONNECT. */
  readonly clientId?: string | undefined
}

interface Lines {
  lastMs: number
  suppressed: number
}

/** Counts each connection that we close, and prints at most one line for each reason in ten seconds: clients must not fill the disk. */
export class CloseLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #lines = new Map<CloseReason, Lines>()

  constructor(logger: Logger, clock: Clock, metrics: Metrics) {
    this.#logger = logger
    this.#clock = clock
    this.#metrics = metrics
  }

  closed(reason: CloseReason, { remote, clientId }: Peer, why: string): void {
    this.#metrics.add('mqttRefusedConnections', 1, reason)
    const nowMs = this.#clock.monotonicMs()
    const lines = this.#lines.get(reason)
    if (lines !== undefined && nowMs - lines.lastMs < lineEveryMs) {
      lines.suppressed += 1
      return
    }
    const suppressed = lines?.suppressed ?? 0
    this.#lines.set(reason, { lastMs: nowMs, suppressed: 0 })
    const client = clientId === undefined ? {} : { clientId: clientId.slice(0, maxClientIdLength) }
    const fields = { reason, remote, ...client, why, ...(suppressed > 0 && { linesSuppressed: suppressed }) }
    this.#logger.warn(fields, 'mqtt connection closed')
  }
}
