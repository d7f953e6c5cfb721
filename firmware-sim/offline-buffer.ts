/** A full buffer's choice of what to give up. */
export type DropPolicy = 'oldest' | 'newest'

/** Readings that wait for the link, first in first out, bounded as in real firmware. */
export class OfflineBuffer<Item> {
  private readonly capacity: number
  private readonly policy: DropPolicy
  private items: (Item | undefined)[] = []
  private head = 0

  constructor(capacity: number, policy: DropPolicy) {
    this.capacity = capacity
    this.policy = policy
  }

  get size(): number {
    return this.items.length - this.head
  }

  /** Adds an item; what had to be given up for it is returned, which may be the item itself. */
  push(item: Item): Item | undefined {
    if (this.size < this.capacity) {
      this.items.push(item)
      return undefined
    }
    if (this.policy === 'newest') return item
    const oldest = this.shift()
    this.items.push(item)
    return oldest
  }

  /** The oldest item, removed. */
  shift(): Item | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}
