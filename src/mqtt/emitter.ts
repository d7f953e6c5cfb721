import type { Clock } from '../platform/clock.ts'
import { FilterTree } from '../wire/mqtt/topic-filter.ts'

/** What a subscriber of the engine is called with: a packet, and what to call when it is done with it. */
export type Deliver = (packet: { readonly topic: string }, done: () => void) => void

/** Publishes to this topic reach nobody: what was refused and already answered goes here. */
export const discardedTopic = '$brooklet/discarded'

/**
 * The event bus inside the session engine (aedes' `mq`), and with it the index of live subscriptions. It holds no packets: each emit
 * calls the matching subscribers at once.
 */
export class Emitter {
  readonly #tree = new FilterTree<Deliver>()
  readonly #clock: Clock
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rises with every subscription made or ended. */
  get generation(): number {
    return this.#tree.generation
  }

  has(topic: string): boolean {
    return this.#tree.hasMatch(topic)
  }

  on(filter: string, deliver: Deliver, done?: () => void): this {
    this.#tree.add(filter, deliver)
    if (done !== undefined) this.#clock.afterIo(done)
    return this
  }

  removeListener(filter: string, deliver: Deliver, done?: () => void): this {
    this.#tree.delete(filter, deliver)
    if (done !== undefined) this.#clock.afterIo(done)
    return this
  }

  /** Calls `done` once every subscriber is done with the packet. */
  emit(packet: { readonly topic: string }, done: (error?: Error) => void = () => {}): this {
    if (this.#closed || packet.topic === discardedTopic) {
      done()
      return this
    }
    const matches = this.#tree.match(packet.topic)
    let left = matches.length
    if (left === 0) done()
    const one = (): void => {
      if (--left === 0) done()
    }
    for (const deliver of matches) deliver(packet, one)
    return this
  }

  close(done: () => void): this {
    this.#closed = true
    this.#clock.afterIo(done)
    return this
  }
}
