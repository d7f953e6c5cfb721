/** A full wait is made this often, to learn how many records come while one waits. */
const learnEveryMs = 1_000

/**
 * When the group that gathers goes to the device: at once when the log was idle for `lingerMs`; under load as soon as it holds as many
 * records as a full wait brought lately, at the latest `lingerMs` after the commit before began. So a commit waits only while waiting
 * brings records: clients that wait for their acks are not held up longer than the last of them needs to send.
 */
export class CommitLinger {
  readonly #lingerMs: number
  #lastCommitMs = Number.NEGATIVE_INFINITY
  #learnedMs = Number.NEGATIVE_INFINITY
  /** Records that the last full wait brought. */
  #enough = Number.POSITIVE_INFINITY

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs
  }

  /** Milliseconds that a group of so many records still waits; 0: commit now. */
  waitMs(nowMs: number, records: number): number {
    if (this.#lingerMs === 0 || records >= this.#enough) return 0
    return Math.max(0, Math.ceil(this.#lastCommitMs + this.#lingerMs - nowMs))
  }

  /** A commit of the group that gathered begins. */
  committed(nowMs: number, records: number): void {
    const sinceMs = nowMs - this.#lastCommitMs
    const waitedFully = sinceMs >= this.#lingerMs && sinceMs < 2 * this.#lingerMs
    if (waitedFully) {
      this.#enough = records
      this.#learnedMs = nowMs
    } else if (nowMs - this.#learnedMs >= learnEveryMs) {
      this.#enough = Number.POSITIVE_INFINITY
    }
    this.#lastCommitMs = nowMs
  }
}
