import { encodePubacks } from '../wire/mqtt/acks.ts'

const firstSlots = 64

/** Packet ids of one connection that wait for their group, in the order of their publishes, counted by group. */
export class AckQueue {
  /** A ring; its length is a power of two. */
  #ring = new Uint16Array(firstSlots)
  #first = 0
  #count = 0
  /** How many of the ids belong to each group that waits, oldest first. */
  readonly #groups: { readonly group: number; count: number }[] = []

  get count(): number {
    return this.#count
  }

  /** Returns true when this is the first id of its group: the caller has `take` called once the group is durable. */
  add(packetId: number, group: number): boolean {
    if (this.#count === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.#count) & (this.#ring.length - 1)] = packetId
    this.#count++
    const last = this.#groups.at(-1)
    if (last !== undefined && last.group === group) {
      last.count++
      return false
    }
    this.#groups.push({ group, count: 1 })
    return true
  }

  /** The PUBACKs of the oldest group. */
  take(): Buffer {
    const count = this.#groups.shift()?.count ?? 0
    const bytes = encodePubacks(this.#ring, this.#first, count)
    this.#first = (this.#first + count) & (this.#ring.length - 1)
    this.#count -= count
    return bytes
  }

  #grow(): void {
    const grown = new Uint16Array(this.#ring.length * 2)
    for (let index = 0; index < this.#count; index++) {
      grown[index] = this.#ring[(this.#first + index) & (this.#ring.length - 1)]!
    }
    this.#ring = grown
    this.#first = 0
  }
}
