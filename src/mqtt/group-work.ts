import type { Broker } from '../broker/broker.ts'
import type { GroupNumber } from '../core/brand.ts'

type Continuation = (error?: Error) => void

interface Waiting {
  readonly group: GroupNumber
  readonly continuations: Continuation[]
}

/** One of the things that groups come to, in order. */
export interface GroupProgress {
  newest(): GroupNumber
  /** Rejects when the group never comes to it. */
  when(group: GroupNumber): Promise<void>
  on(listener: (group: GroupNumber) => void): void
}

/** Records of the group may be acknowledged. */
export const ackProgress = (broker: Broker): GroupProgress => ({
  newest: () => broker.ackableGroup,
  when: group => broker.whenAckable(group),
  on: listener => broker.onAckable(listener),
})

/** Everything in the group is on the device, and may be shown. */
export const durableProgress = (broker: Broker): GroupProgress => ({
  newest: () => broker.durableGroup,
  when: group => broker.whenDurable(group),
  on: listener => broker.onDurable(listener),
})

/**
 * What goes on once a group has come so far, in the order in which it was asked for: one list per group, no promise per publish. When
 * the log fails, everything that waits is called with the error.
 */
export class GroupWork {
  readonly #progress: GroupProgress
  /** In order of groups. */
  #waiting: Waiting[] = []
  #failure: Error | undefined

  constructor(progress: GroupProgress) {
    this.#progress = progress
    progress.on(group => this.#run(group))
  }

  /** Calls `continuation` when everything up to `group` has come so far; at once when it has and nothing earlier waits. */
  after(group: GroupNumber, continuation: Continuation): void {
    const last = this.#waiting.at(-1)
    if (this.#failure !== undefined) continuation(this.#failure)
    else if (last !== undefined && last.group >= group) last.continuations.push(continuation)
    else if (group <= this.#progress.newest()) continuation()
    else {
      this.#waiting.push({ group, continuations: [continuation] })
      this.#progress.when(group).catch((error: Error) => this.#fail(error))
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
