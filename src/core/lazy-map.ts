/** A map that is made with its first entry: where there is one for each of many, and most stay empty. */
export class LazyMap<Key, Value> {
  #entries: Map<Key, Value> | undefined

  get size(): number {
    return this.#entries?.size ?? 0
  }

  get(key: Key): Value | undefined {
    return this.#entries?.get(key)
  }

  has(key: Key): boolean {
    return this.#entries?.has(key) ?? false
  }

  set(key: Key, value: Value): void {
    this.#entries ??= new Map()
    this.#entries.set(key, value)
  }

  delete(key: Key): void {
    this.#entries?.delete(key)
  }

  clear(): void {
    this.#entries = undefined
  }

  keys(): Iterable<Key> {
    return this.#entries?.keys() ?? []
  }

  values(): Iterable<Value> {
    return this.#entries?.values() ?? []
  }

  /** In the order in which they were added. */
  [Symbol.iterator](): Iterator<[Key, Value]> {
    return (this.#entries ?? [])[Symbol.iterator]()
  }
}
