import type { Clock } from '../platform/clock.ts'
import { FilterTree } from '../wire/mqtt/topic-filter.ts'
import type { MemoryShare } from './memory-share.ts'
import { subscriptionBytes } from './subscriber-limits.ts'

export interface EmittedPacket {
  readonly topic: string
  /** Rises with every publish of the engine. */
  readonly brokerCounter?: number
}

/** What a subscriber of the engine is called with: a packet, and what to call when it is done with it. */
export type Deliver = (packet: EmittedPacket, done: () => void) => void

interface Pending {
  readonly packet: EmittedPacket
  readonly done: (error?: Error) => void
}

/** Deliveries of one turn of the event loop, about: each makes some objects in the engine. */
const turnDeliveries = 1024

/** Publishes to this topic reach nobody: what was refused and already answered goes here. */
export const discardedTopic = '$brooklet/discarded'

/**
 * The event bus inside the session engine (aedes' `mq`), and with it the index of live subscriptions.
 *
 * Packets are delivered once per turn of the event loop, in the order in which the engine numbered them. A QoS 0 packet reaches `emit` at once,
 * a QoS 1 packet that was numbered before it only after some promises, and the engine takes a packet with a lower number than the last one
 * it gave a client for a duplicate and drops it. All of these ways end within the turn in which they began.
 */
export class Emitter {
  readonly #tree = new FilterTree<Deliver>()
  readonly #clock: Clock
  #closed = false
  #pending: Pending[] = []

  readonly #memory: MemoryShare
  #isAccounted = false

  constructor(clock: Clock, memory: MemoryShare) {
    this.#clock = clock
    this.#memory = memory
  }

  /** What is subscribed from now on is for clients, and counted as memory. */
  engineStarted(): void {
    this.#isAccounted = true
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
    if (this.#isAccounted) this.#memory.hold(subscriptionBytes(filter))
    if (done !== undefined) this.#clock.afterIo(done)
    return this
  }

  removeListener(filter: string, deliver: Deliver, done?: () => void): this {
    if (this.#tree.delete(filter, deliver)) this.#memory.hold(-subscriptionBytes(filter))
    if (done !== undefined) this.#clock.afterIo(done)
    return this
  }

  /** Calls `done` once every subscriber is done with the packet, never before this returns. */
  emit(packet: EmittedPacket, done: (error?: Error) => void = () => {}): this {
    this.#pending.push({ packet, done })
    if (this.#pending.length === 1) this.#clock.afterIo(() => this.#deliverPending())
    return this
  }

  /** Goes on in the next turn after so many deliveries: what one makes can be collected before the next begins. */
  #deliverPending(): void {
    const pending = this.#pending.sort((one, other) => counterOf(one.packet) - counterOf(other.packet))
    this.#pending = []
    let deliveries = 0
    let taken = 0
    while (taken < pending.length && deliveries < turnDeliveries) deliveries += this.#deliver(pending[taken++]!)
    if (taken === pending.length) return
    // deliveries may have emitted: then a turn is on its way
    const isArmed = this.#pending.length > 0
    this.#pending = [...pending.slice(taken), ...this.#pending]
    if (!isArmed) this.#clock.afterIo(() => this.#deliverPending())
  }

  /** To how many. */
  #deliver({ packet, done }: Pending): number {
    const matches = this.#closed || packet.topic === discardedTopic ? [] : this.#tree.match(packet.topic)
    let left = matches.length
    if (left === 0) done()
    const one = (): void => {
      if (--left === 0) done()
    }
    for (const deliver of matches) deliver(packet, one)
    return matches.length
  }

  close(done: () => void): this {
    this.#closed = true
    this.#clock.afterIo(done)
    return this
  }
}

const counterOf = (packet: EmittedPacket): number => packet.brokerCounter ?? 0
