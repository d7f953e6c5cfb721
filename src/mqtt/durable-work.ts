import type { Broker } from '../broker/broker.ts'
import type { GroupNumber } from '../core/brand.ts'

type Continuation = (error?: Error) => void

interface Waiting {
  readonly group: GroupNumber
  readonly continuations: Continuation[]
}

/**
 * What goes on once a group is on the device, in the order in which it was asked for: one list per group, no promise per publish. When
 * the log fails, everything that waits is called with the error.
 */
export class DurableWork {
  readonly #broker: Broker
  /** In order of groups. */
  #waiting: Waiting[] = []
  #failure: Error | undefined

  constructor(broker: Broker) {
    this.#broker = broker
    broker.onDurable(group => this.#run(group))
  }

  /** Calls `continuation` when everything up to `group` is durable; at once when it is and nothing earlier waits. */
  after(group: GroupNumber, continuation: Continuation): void {
    const last = this.#waiting.at(-1)
    if (this.#failure !== undefined) continuation(this.#failure)
    else if (last !== undefined && last.group >= group) last.continuations.push(continuation)
    else if (group <= this.#broker.durableGroup) continuation()
    else {
      this.#waiting.push({ group, continuations: [continuation] })
      this.#broker.whenDurable(group).catch((error: Error) => this.#fail(error))
    }
  }

  /** Calls `continuation` after everything that waits now; at once when nothing does. */
  afterPending(continuation: Continuation): void {
    const last = this.#waiting.at(-1)
    if (last === undefined) continuation(this.#failure)
    else last.continuations.push(continuation)
  }

  #run(group: GroupNumber): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.group <= group) {
      for (const continuation of this.#waiting.shift()!.continuations) continuation()
    }
  }

  #fail(error: Error): void {
    this.#failure = error
    const waiting = this.#waiting
    this.#waiting = []
    for (const { continuations } of waiting) for (const continuation of continuations) continuation(error)
  }
}
