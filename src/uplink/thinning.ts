/** Beyond these the counts begin anew, which keeps some records more. */
const mostKeys = 10_000

/** Of the records of each key one in so many is kept, the first of them; those without a key count as one. */
export class KeyCounts {
  readonly #passed = new Map<string, number>()

  keeps(key: Buffer | null, oneOf: number): boolean {
    const name = key?.toString('latin1') ?? ''
    const passed = this.#passed.get(name) ?? 0
    if (passed === 0 && this.#passed.size >= mostKeys) this.#passed.clear()
    this.#passed.set(name, (passed + 1) % oneOf)
    return passed === 0
  }

  /** The record that was kept did not go: its key is to be asked for again. */
  takeBack(key: Buffer | null): void {
    this.#passed.delete(key?.toString('latin1') ?? '')
  }
}

/** What is left out of one load. */
export class Thinning {
  readonly #counts: KeyCounts
  readonly #oneOf: number
  #dropped = 0

  constructor(counts: KeyCounts, oneOf: number) {
    this.#counts = counts
    this.#oneOf = oneOf
  }

  get dropped(): number {
    return this.#dropped
  }

  keeps(key: Buffer | null): boolean {
    const isKept = this.#counts.keeps(key, this.#oneOf)
    if (!isKept) this.#dropped++
    return isKept
  }

  takeBack(key: Buffer | null): void {
    this.#counts.takeBack(key)
  }
}
