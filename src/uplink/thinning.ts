import type { LeftOutSpan } from '../state/uplink.ts'
import type { NewSpan } from './left-out.ts'

/** Beyond these the counts begin anew, which keeps some records more. */
const mostKeys = 10_000
const mostKeyBytes = 1 << 20

/** Of the records of each key one in so many is kept, the first of them; those without a key count as one. */
export class KeyCounts {
  readonly #passed = new Map<string, number>()
  /** Of all that were added since the counts began. */
  #keyBytes = 0

  keeps(key: Buffer | null, oneOf: number): boolean {
    const name = key?.toString('latin1') ?? ''
    const known = this.#passed.get(name)
    if (known === undefined) this.#makeRoom(name.length)
    const passed = known ?? 0
    this.#passed.set(name, (passed + 1) % oneOf)
    return passed === 0
  }

  /** The record that was kept did not go: its key is to be asked for again. */
  takeBack(key: Buffer | null): void {
    this.#passed.delete(key?.toString('latin1') ?? '')
  }

  /** The counts begin anew: of what was kept nobody knows whether it went. */
  clear(): void {
    this.#passed.clear()
    this.#keyBytes = 0
  }

  #makeRoom(bytes: number): void {
    if (this.#passed.size >= mostKeys || this.#keyBytes + bytes > mostKeyBytes) this.clear()
    this.#keyBytes += bytes
  }
}

/** What is left out of one load. */
export class Thinning {
  readonly #counts: KeyCounts
  readonly #oneOf: number | undefined
  readonly #onRecord: readonly LeftOutSpan[]
  #dropped = 0
  #expired: NewSpan | undefined

  /** Without `oneOf` only that stays out which is on record. */
  constructor(counts: KeyCounts, oneOf: number | undefined, onRecord: readonly LeftOutSpan[] = []) {
    this.#counts = counts
    this.#oneOf = oneOf
    this.#onRecord = onRecord
  }

  /** Because there are too many. */
  get dropped(): number {
    return this.#dropped
  }

  /** What an earlier load had left out because of its age; undefined: nothing. */
  get expired(): NewSpan | undefined {
    return this.#expired
  }

  keeps(key: Buffer | null): boolean {
    const isKept = this.#oneOf === undefined || this.#counts.keeps(key, this.#oneOf)
    if (!isKept) this.#dropped++
    return isKept
  }

  /** The record was left out by an earlier load, and stays out; false: that is not on record. */
  stayedOut(offset: number): boolean {
    const span = this.#onRecord.find(({ first, last }) => first <= offset && offset <= last)
    if (span?.reason === 'thinned') this.#dropped++
    else if (span !== undefined) {
      const { first, records } = this.#expired ?? { first: offset, records: 0 }
      this.#expired = { first, last: offset, records: records + 1, reason: span.reason }
    }
    return span !== undefined
  }

  takeBack(key: Buffer | null): void {
    this.#counts.takeBack(key)
  }
}
