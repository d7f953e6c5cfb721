import type { Logger } from '../platform/logger.ts'
import type { CommitLinger } from './commit-linger.ts'

const dayMs = 86_400_000
/** A rate is judged over at least this long since the linger last changed: no change answers the effects of the one before. */
const judgeAfterMs = 60_000
/** While nothing changes the rate is that of up to an hour: a slot of zeros now and then is no reason to slow down. */
const longestMs = 3_600_000
/** Written much less than the budget allows for this long, the linger goes down. */
const relaxAfterMs = 300_000
const relaxBelow = 0.75
/** Aimed at, so that a budget that is just held is not exceeded by noise. */
const aim = 0.95

/** What counts against the budget so far, and commits. Both only rise. */
export interface Spent {
  readonly bytes: number
  readonly commits: number
}

/**
 * Stretches the linger so that a budget of written bytes a day holds at the present rate. Bytes are taken to grow with the commits; where
 * that is not so (large commits, other programs on the device) the next judgement corrects it. It refuses nothing: a budget that
 * does not hold with the longest linger is exceeded, and said so.
 */
export class WearBudget {
  readonly #linger: CommitLinger
  readonly #maxLingerMs: number
  readonly #bytesPerMs: number
  readonly #logger: Logger
  #since: (Spent & { readonly atMs: number }) | undefined
  #exceeded = false

  constructor(linger: CommitLinger, options: { maxLingerMs: number; bytesPerDay: number }, logger: Logger) {
    this.#linger = linger
    this.#maxLingerMs = options.maxLingerMs
    this.#bytesPerMs = options.bytesPerDay / dayMs
    this.#logger = logger
  }

  /** True while more is written than the budget allows although the linger is at its longest. */
  get exceeded(): boolean {
    return this.#exceeded
  }

  /** Called every few seconds; acts once a minute at most. */
  spent(spent: Spent, nowMs: number): void {
    const since = this.#since
    if (since === undefined) {
      this.#since = { ...spent, atMs: nowMs }
      return
    }
    const elapsedMs = nowMs - since.atMs
    if (elapsedMs < judgeAfterMs) return
    const part = (spent.bytes - since.bytes) / elapsedMs / this.#bytesPerMs
    const before = this.#linger.ms
    if (part > 1) this.#lengthen(part, elapsedMs / Math.max(1, spent.commits - since.commits))
    else if (elapsedMs >= relaxAfterMs) this.#relax(part)
    if (this.#linger.ms === before && elapsedMs < longestMs) return
    this.#since = { ...spent, atMs: nowMs }
  }

  #lengthen(part: number, commitEveryMs: number): void {
    const { ms } = this.#linger
    if (ms >= this.#maxLingerMs) {
      this.#exceed(part)
      return
    }
    // a commit less often than the linger asks for is the load's own pace
    const wantedMs = Math.ceil((Math.max(ms, commitEveryMs) * part) / aim)
    this.#linger.stretch(Math.min(this.#maxLingerMs, wantedMs))
    this.#logger.info({ fromMs: ms, toMs: this.#linger.ms }, 'the linger follows wear.budget.per.day')
  }

  #relax(part: number): void {
    this.#exceeded = false
    if (part >= relaxBelow) return
    const { ms } = this.#linger
    this.#linger.stretch(Math.floor(ms * Math.max(0.5, part / aim)))
    if (this.#linger.ms !== ms) {
      this.#logger.info({ fromMs: ms, toMs: this.#linger.ms }, 'the linger follows wear.budget.per.day')
    }
  }

  #exceed(part: number): void {
    if (this.#exceeded) return
    this.#exceeded = true
    const fields = { lingerMs: this.#maxLingerMs, timesTheBudget: Math.round(part * 100) / 100 }
    this.#logger.warn(
      fields,
      'more is written than wear.budget.per.day allows, even with commit.linger.max.ms; nothing is refused',
    )
  }
}
