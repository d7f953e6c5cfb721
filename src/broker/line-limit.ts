import type { Clock } from '../platform/clock.ts'

const lineEveryMs = 10_000

interface Lines {
  lastMs: number
  suppressed: number
}

/** At most one log line for each reason in ten seconds: peers must not fill the disk. Reasons come from a closed set of ours. */
export class LineLimit<Reason extends string> {
  readonly #clock: Clock
  readonly #lines = new Map<Reason, Lines>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined: no line now. Else the line is due, with these fields: how many were kept back since the last one, when any were. */
  admit(reason: Reason): { readonly linesSuppressed?: number } | undefined {
    const nowMs = this.#clock.monotonicMs()
    const lines = this.#lines.get(reason)
    if (lines !== undefined && nowMs - lines.lastMs < lineEveryMs) {
      lines.suppressed += 1
      return undefined
    }
    this.#lines.set(reason, { lastMs: nowMs, suppressed: 0 })
    const suppressed = lines?.suppressed ?? 0
    return suppressed === 0 ? {} : { linesSuppressed: suppressed }
  }
}
