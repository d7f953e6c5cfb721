/** A full wait is made this often, to learn how many records come while one waits. */
const learnEveryMs = 1_000

/**
 * When the group that gathers goes to the device: at once when the log was idle for the linger; under load as soon as it holds as many
 * records as a full wait brought lately, at the latest one linger after the commit before began. So a commit waits only while waiting
 * brings records: clients that wait for their acks are not held up longer than the last of them needs to send.
 *
 * Stretched by a wear budget every wait is a full one: what counts then is how often the device is written. A group that is only handed to
 * the kernel does not write it, and waits as without a budget.
 */
export class CommitLinger {
  readonly #baseMs: number
  #ms: number
  #ended = false
  #lastCommitMs = Number.NEGATIVE_INFINITY
  #learnedMs = Number.NEGATIVE_INFINITY
  /** Records that the last full wait brought. */
  #enough = Number.POSITIVE_INFINITY
  #onChange: () => void = () => {}

  constructor(baseMs: number) {
    this.#baseMs = baseMs
    this.#ms = baseMs
  }

  /** In effect now. */
  get ms(): number {
    return this.#ms
  }

  /** Called when a group that waits may have to go sooner. */
  onChange(callback: () => void): void {
    this.#onChange = callback
  }

  /** From now on waits are `ms` long, but not shorter than the linger of the settings. */
  stretch(ms: number): void {
    if (this.#ended) return
    this.#set(Math.max(this.#baseMs, ms))
  }

  /** Nothing waits any more: the log is about to close. */
  end(): void {
    this.#ended = true
    this.#set(0)
  }

  /** Milliseconds that a group of so many records still waits; 0: commit now. */
  waitMs(nowMs: number, records: number, isRelaxed = false): number {
    const ms = isRelaxed ? Math.min(this.#ms, this.#baseMs) : this.#ms
    if (ms === 0 || (records >= this.#enough && ms <= this.#baseMs)) return 0
    return Math.max(0, Math.ceil(this.#lastCommitMs + ms - nowMs))
  }

  /** A commit of the group that gathered begins. */
  committed(nowMs: number, records: number): void {
    const sinceMs = nowMs - this.#lastCommitMs
    const waitedFully = sinceMs >= this.#ms && sinceMs < 2 * this.#ms
    if (waitedFully) {
      this.#enough = records
      this.#learnedMs = nowMs
    } else if (nowMs - this.#learnedMs >= learnEveryMs) {
      this.#enough = Number.POSITIVE_INFINITY
    }
    this.#lastCommitMs = nowMs
  }

  #set(ms: number): void {
    if (ms === this.#ms) return
    this.#ms = ms
    this.#enough = Number.POSITIVE_INFINITY
    this.#onChange()
  }
}
