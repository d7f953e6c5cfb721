import { nearestWord } from './nearest-word.ts'
import { type Parsed, quoted, type ValueProblem } from './value-types.ts'

/** Reads one map of a structured setting and gathers what is wrong with it; every key must be asked for. */
export class TreeReader {
  readonly problems: ValueProblem[] = []
  readonly #entries: Map<string, unknown>
  readonly #place: string
  readonly #isMap: boolean

  constructor(tree: unknown, place: string, keys: readonly string[]) {
    this.#place = place
    const isMap = typeof tree === 'object' && tree !== null && !Array.isArray(tree)
    this.#isMap = isMap
    this.#entries = new Map(isMap ? Object.entries(tree) : [])
    if (!isMap) this.fail('', `a map with the keys ${keys.join(', ')} is expected`)
    for (const key of this.#entries.keys()) {
      if (!keys.includes(key)) this.fail('', `there is no key ${quoted(key)} here`, nearestWord(key, keys) ?? keys[0])
    }
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  isNull(key: string): boolean {
    return this.has(key) && this.#entries.get(key) === null
  }

  /** The value as text; numbers and booleans count as their text. Undefined (and a problem when needed) otherwise. */
  text(key: string, needed: boolean): string | undefined {
    if (!this.#isMap) return undefined
    const value = this.#entries.get(key)
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
    if (needed || this.has(key)) this.fail(key, value === undefined ? 'is missing' : 'one plain value is expected')
    return undefined
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#entries.get(key) ?? fallback
    if (typeof value !== 'boolean') this.fail(key, 'is neither true nor false', String(fallback))
    return value === true
  }

  /** Plain values: a YAML list, or one text with commas between them. Undefined when there are none (a problem when needed). */
  list(key: string, needed: boolean): readonly string[] | undefined {
    const value = this.#entries.get(key)
    if (!Array.isArray(value))
      return this.text(key, needed)
        ?.split(',')
        .map(one => one.trim())
    const isPlain = value.every(one => ['string', 'number', 'boolean'].includes(typeof one))
    if (!isPlain) this.fail(key, 'a list of plain values is expected')
    else if (needed && value.length === 0) this.fail(key, 'is empty')
    return isPlain ? value.map(String) : undefined
  }

  /** A map of plain values. */
  texts(key: string): ReadonlyMap<string, string> {
    const value = this.#entries.get(key)
    if (value === undefined) return new Map()
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail(key, 'a map of names and values is expected')
      return new Map()
    }
    const scalars = Object.entries(value).filter(([, one]) => ['string', 'number', 'boolean'].includes(typeof one))
    if (scalars.length < Object.keys(value).length) this.fail(key, 'its values must be plain values')
    return new Map(scalars.map(([name, one]) => [name, String(one)]))
  }

  /** The parsed value, or undefined after its problems were noted at `key`. */
  take<Value>(key: string, parsed: Parsed<Value>): Value | undefined {
    if ('value' in parsed) return parsed.value
    for (const { reason, nearest } of parsed.problems) this.fail(key, reason, nearest)
    return undefined
  }

  fail(key: string, reason: string, nearest?: string): void {
    const at = key === '' ? this.#place : `${this.#place}.${key}`
    this.problems.push(nearest === undefined ? { at, reason } : { at, reason, nearest })
  }
}

/** A list of maps, each read by `read`; all problems of all items together. */
export function parseItems<Item>(
  tree: unknown,
  read: (
    item: unknown,
    place: string,
  ) => { readonly item: Item | undefined; readonly problems: readonly ValueProblem[] },
): Parsed<readonly Item[]> {
  if (!Array.isArray(tree)) return { problems: [{ reason: 'a list is expected' }] }
  const results = tree.map((item, index) => read(item, `[${index}]`))
  const problems = results.flatMap(result => result.problems)
  if (problems.length > 0) return { problems }
  return { value: results.flatMap(result => (result.item === undefined ? [] : [result.item])) }
}
