import type { DeepAuditState } from './broker/audit-report.ts'
import { BrokerError } from './core/errors.ts'
import { MalformedFrame } from './core/malformed-frame.ts'
import { type GatewayAuditParts, gatewayAudit } from './gateway-audit.ts'

/** The link is not used for somebody who has gone. */
const unaskedMs = 30_000

class NobodyWaits extends Error {
  override name = 'NobodyWaits'
}

const none: DeepAuditState = { state: 'none', read: 0, inAll: 0, error: null, report: null }

/** The audit that reads back what stands upstream: one at a time, for as long as somebody asks how far it is. */
export class DeepAudit {
  readonly #parts: GatewayAuditParts
  #state: DeepAuditState = none
  #askedMs = 0

  constructor(parts: GatewayAuditParts) {
    this.#parts = parts
  }

  /** Begins one unless one is under way. */
  begin(): DeepAuditState {
    if (this.#state.state !== 'running') {
      this.#state = { ...none, state: 'running' }
      void this.#run()
    }
    return this.state()
  }

  state(): DeepAuditState {
    this.#askedMs = this.#nowMs
    return this.#state
  }

  get #nowMs(): number {
    return this.#parts.platform.clock.monotonicMs()
  }

  async #run(): Promise<void> {
    const tell = (read: number, inAll: number): void => this.#tell(read, inAll)
    try {
      const report = await gatewayAudit(this.#parts, uplink => uplink.deepAudit(tell))
      this.#state = { ...this.#state, state: 'done', report }
    } catch (error) {
      if (error instanceof NobodyWaits) this.#state = none
      else if (error instanceof BrokerError || error instanceof MalformedFrame)
        this.#state = { ...this.#state, state: 'failed', error: error.message }
      else throw error
    }
  }

  #tell(read: number, inAll: number): void {
    if (this.#nowMs - this.#askedMs > unaskedMs) throw new NobodyWaits()
    this.#state = { ...this.#state, read, inAll }
  }
}
