import type { Metrics } from '../core/metrics.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { AskTimeSync, TimeSource } from '../platform/time-sync.ts'

/**
 * What is known of the wall clock. `stepped`: it jumped within the last minute. What nobody vouches for is `unknown`, however right it may be.
 */
export type ClockQuality = 'synchronised' | 'unknown' | 'stepped'

/** A jump of the wall clock: what it showed on both sides. */
export interface ClockStep {
  /** What the clock would have shown without the jump, and what it did show. Milliseconds since 1970. */
  readonly fromMs: number
  readonly toMs: number
  /** Seconds of log age at which it was seen. */
  readonly logAge: number
}

export interface ClockSummary {
  readonly quality: ClockQuality
  /** Who vouches for the clock, or says that it is not synchronised; `setting`: `clock.quality`; null: nobody. */
  readonly source: TimeSource | 'setting' | null
  /** The newest last, at most 16, of this start. */
  readonly steps: readonly ClockStep[]
}

const askEveryMs = 60_000
/** A start does not wait longer for the first answer. */
const firstAnswerMs = 500
const stepMs = 1000
/** Slewing is no step: the two clocks are compared over at most this long. */
const compareEveryMs = 10_000
const steppedForMs = 60_000
const maxSteps = 16

/**
 * The quality of the gateway's wall clock, for the stamps that it gives. Services are asked once a minute; a step is seen by the first who
 * asks for the quality after it. Nothing but stamps and the windows of `uplink.metered` may depend on any of this.
 */
export class ClockWatch {
  readonly #clock: Clock
  readonly #ask: AskTimeSync
  readonly #assumed: 'unknown' | 'synchronised'
  readonly #logAge: () => number
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #steps: ClockStep[] = []
  #source: ClockSummary['source']
  #synchronised: boolean
  #wallMs: number
  #monotonicMs: number
  #bootMs: number
  #steppedMs = Number.NEGATIVE_INFINITY

  /** `assumed`: what the operator says of the clock where no service tells. */
  constructor(parts: {
    clock: Clock
    ask: AskTimeSync
    assumed: 'unknown' | 'synchronised'
    logAge: () => number
    metrics: Metrics
    logger: Logger
  }) {
    this.#clock = parts.clock
    this.#ask = parts.ask
    this.#assumed = parts.assumed
    this.#logAge = parts.logAge
    this.#metrics = parts.metrics
    this.#logger = parts.logger
    this.#wallMs = parts.clock.wallMs()
    this.#monotonicMs = parts.clock.monotonicMs()
    this.#bootMs = parts.clock.sinceBootMs()
    this.#source = this.#sourceWithout()
    this.#synchronised = parts.assumed === 'synchronised'
    parts.metrics.gauge('clockQuality', () => new Map([[this.quality(), 1]]))
  }

  /** Asks now and every minute from now on. */
  async start(): Promise<void> {
    await Promise.race([this.#check(), sleep(this.#clock, firstAnswerMs)])
    this.#compare()
  }

  /** Cheap: asked once for each read of a socket. */
  quality(): ClockQuality {
    this.#lookForStep()
    if (this.#monotonicMs - this.#steppedMs < steppedForMs) return 'stepped'
    return this.#synchronised ? 'synchronised' : 'unknown'
  }

  summary(): ClockSummary {
    return { quality: this.quality(), source: this.#source, steps: [...this.#steps] }
  }

  #sourceWithout(): ClockSummary['source'] {
    return this.#assumed === 'synchronised' ? 'setting' : null
  }

  async #check(): Promise<void> {
    const state = await this.#ask()
    this.#source = state?.source ?? this.#sourceWithout()
    this.#synchronised = state?.synchronised ?? this.#assumed === 'synchronised'
    this.#clock.after(askEveryMs, () => void this.#check())
  }

  #compare(): void {
    this.#lookForStep()
    this.#clock.after(compareEveryMs, () => this.#compare())
  }

  #lookForStep(): void {
    const monotonicMs = this.#clock.monotonicMs()
    const wallMs = this.#clock.wallMs()
    const apartMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs)
    const isOld = monotonicMs - this.#monotonicMs >= compareEveryMs
    if (Math.abs(apartMs) <= stepMs && !isOld) return
    const bootMs = this.#clock.sinceBootMs()
    // the monotonic clock stands still while the machine sleeps, the boot clock does not
    const expectedMs = this.#wallMs + (bootMs - this.#bootMs)
    if (Math.abs(apartMs) > stepMs && Math.abs(wallMs - expectedMs) > stepMs) {
      this.#stepped(expectedMs, wallMs, monotonicMs)
    }
    this.#wallMs = wallMs
    this.#monotonicMs = monotonicMs
    this.#bootMs = bootMs
  }

  #stepped(fromMs: number, toMs: number, monotonicMs: number): void {
    this.#steppedMs = monotonicMs
    this.#steps.push({ fromMs, toMs, logAge: this.#logAge() })
    if (this.#steps.length > maxSteps) this.#steps.shift()
    this.#metrics.add('clockSteps', 1, toMs > fromMs ? 'forward' : 'back')
    this.#logger.warn(
      { fromMs, toMs, byMs: toMs - fromMs },
      'the wall clock jumped; stamps on both sides do not compare',
    )
  }
}
