import { ackTypes, encodeAcks } from '../wire/mqtt/acks.ts'

const firstSlots = 64
/** Most connections never publish. */
const noSlots = new Uint32Array(0)
/** Reason codes from here on are errors (MQTT 5 section 2.4). */
const firstError = 0x80

interface Waiting {
  readonly group: number
  /** The first of them waits for more than the group. */
  isHeld: boolean
  count: number
  pubacks: number
  /** PUBACK and PUBREC without an error. */
  stored: number
}

/** An acknowledgement that is held back. */
export interface Held {
  readonly isHeld: boolean
}

/** Acknowledgements of one connection that wait for their group, in the order of their packets, counted by group. */
export class AckQueue {
  /** A ring of `packAck` numbers; its length is a power of two. */
  #ring = noSlots
  #first = 0
  #count = 0
  /** How many belong to each group that waits, oldest first. */
  readonly #groups: Waiting[] = []
  /** How many of these, the oldest, may leave as far as their groups are concerned. */
  #due = 0
  #pubacks = 0

  get count(): number {
    return this.#count
  }

  /** How many are PUBACK. */
  get pubacks(): number {
    return this.#pubacks
  }

  /** Returns true when this is the first of its group: the caller has `due` called once the group may be acknowledged. */
  add(ack: number, group: number): boolean {
    const last = this.#groups.at(-1)
    if (last !== undefined && last.group >= group) {
      this.#push(ack, last)
      return false
    }
    this.#begin(ack, group, false)
    return true
  }

  /**
   * Adds what waits for more than its group, and all that comes behind it: until `let` lets it go. The caller has `due` called once the group may
   * be acknowledged.
   */
  hold(ack: number, group: number): Held {
    return this.#begin(ack, Math.max(group, this.#groups.at(-1)?.group ?? 0), true)
  }

  /** With a reason code, of an error, in place of its own. */
  let(held: Held, reasonCode: number | undefined): void {
    const waiting = held as Waiting
    waiting.isHeld = false
    if (reasonCode === undefined) return
    let at = this.#first
    for (const earlier of this.#groups) {
      if (earlier === waiting) break
      at += earlier.count
    }
    this.#ring[at & (this.#ring.length - 1)]! |= reasonCode << 16
    waiting.stored--
  }

  /** The oldest group that was not yet may be acknowledged. */
  due(): void {
    this.#due++
  }

  /** The oldest group may leave. */
  get isReady(): boolean {
    return this.#due > 0 && !this.#groups[0]!.isHeld
  }

  /** Joins what waits, to keep the order; false: nothing waits, and nothing was added. */
  join(ack: number): boolean {
    const last = this.#groups.at(-1)
    if (last === undefined) return false
    this.#push(ack, last)
    return true
  }

  /** How many the oldest group has. */
  get nextCount(): number {
    return this.#groups[0]?.count ?? 0
  }

  /** How many of the oldest group say that something was stored. */
  get nextStored(): number {
    return this.#groups[0]?.stored ?? 0
  }

  /** The packets of the oldest group. */
  take(): Buffer {
    const { count, pubacks } = this.#groups.shift() ?? { count: 0, pubacks: 0 }
    this.#due = Math.max(0, this.#due - 1)
    this.#pubacks -= pubacks
    const bytes = encodeAcks(this.#ring, this.#first, count)
    this.#first = (this.#first + count) & (this.#ring.length - 1)
    this.#count -= count
    return bytes
  }

  #begin(ack: number, group: number, isHeld: boolean): Waiting {
    const waiting = { group, isHeld, count: 0, pubacks: 0, stored: 0 }
    this.#groups.push(waiting)
    this.#push(ack, waiting)
    return waiting
  }

  #push(ack: number, waiting: Waiting): void {
    const type = ack >>> 24
    waiting.count++
    if (type === ackTypes.puback) {
      waiting.pubacks++
      this.#pubacks++
    }
    if (type !== ackTypes.pubcomp && ((ack >> 16) & 0xff) < firstError) waiting.stored++
    if (this.#count === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.#count) & (this.#ring.length - 1)] = ack
    this.#count++
  }

  #grow(): void {
    const grown = new Uint32Array(Math.max(firstSlots, this.#ring.length * 2))
    for (let index = 0; index < this.#count; index++) {
      grown[index] = this.#ring[(this.#first + index) & (this.#ring.length - 1)]!
    }
    this.#ring = grown
    this.#first = 0
  }
}
