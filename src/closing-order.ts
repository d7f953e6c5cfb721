import type { Clock } from './platform/clock.ts'
import type { Logger } from './platform/logger.ts'

interface Part {
  readonly name: string
  readonly close: () => unknown
}

interface Stage {
  readonly parts: Part[]
  /** After that the next stage begins; undefined: when the time for all is over. */
  readonly limitMs: number | undefined
}

/**
 * What was opened, to be closed in the opposite order: at a stop, and when a start fails half way. Parts of one stage close together. A part that
 * fails is logged and keeps nothing else from being closed.
 */
export class ClosingOrder {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #stages: Stage[] = []

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  /** A stage that closes before all that were added so far. Returns a function that adds one more part to it. */
  stage(limitMs?: number): (name: string, close: () => unknown) => void {
    const stage: Stage = { parts: [], limitMs }
    this.#stages.push(stage)
    return (name, close) => void stage.parts.push({ name, close })
  }

  add(name: string, close: () => unknown): void {
    this.stage()(name, close)
  }

  /**
   * Closes everything, each part once. True: all of it closed, without an error and within its time. False after `withinMs` at the latest,
   * with a log line; what lies below a part that did not close is then still open, because that part may use it.
   */
  async close(withinMs: number): Promise<boolean> {
    const endMs = this.#clock.monotonicMs() + withinMs
    let isClean = true
    for (let stage = this.#stages.pop(); stage !== undefined; stage = this.#stages.pop()) {
      const open = new Set(stage.parts.map(({ name }) => name))
      const closing = stage.parts.map(async ({ name, close }) => {
        try {
          await close()
        } catch (error) {
          isClean = false
          this.#logger.error({ part: name, error: String(error) }, 'a part of the gateway did not close as it should')
        }
        open.delete(name)
      })
      const leftMs = Math.max(0, endMs - this.#clock.monotonicMs())
      const limitMs = Math.min(leftMs, stage.limitMs ?? leftMs)
      if (await this.#within(limitMs, Promise.all(closing))) continue
      isClean = false
      this.#logger.error(
        { parts: [...open], afterMs: Math.round(limitMs) },
        'the gateway stops without waiting for a part longer',
      )
      if (stage.limitMs === undefined) return false
    }
    return isClean
  }

  /** False: the time was over first. */
  #within(limitMs: number, closed: Promise<unknown>): Promise<boolean> {
    return new Promise(resolve => {
      const timer = this.#clock.after(limitMs, () => resolve(false))
      void closed.then(() => {
        timer.cancel()
        resolve(true)
      })
    })
  }
}
