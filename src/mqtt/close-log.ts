import { LineLimit } from '../broker/line-limit.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { CloseReason } from './errors.ts'

const maxClientIdLength = 128

export interface Peer {
  /** `address:port`. */
  readonly remote: string
  /** Undefined before CONNECT. */
  readonly clientId?: string | undefined
}

/** Counts each connection that we close, and prints a line for it unless that reason had one just now. */
export class CloseLog {
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #lines: LineLimit<CloseReason>

  constructor(logger: Logger, clock: Clock, metrics: Metrics) {
    this.#logger = logger
    this.#metrics = metrics
    this.#lines = new LineLimit(clock)
  }

  closed(reason: CloseReason, { remote, clientId }: Peer, why: string): void {
    this.#metrics.add('mqttRefusedConnections', 1, reason)
    const line = this.#lines.admit(reason)
    if (line === undefined) return
    const client = clientId === undefined ? {} : { clientId: clientId.slice(0, maxClientIdLength) }
    this.#logger.warn({ reason, remote, ...client, why, ...line }, 'mqtt connection closed')
  }
}
