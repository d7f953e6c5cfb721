import { nearestWord } from './nearest-word.ts'

/** One thing wrong with a value. `at` is the place inside a structured value, as in `[2].mqtt`. */
export interface ValueProblem {
  readonly reason: string
  /** The valid value that is closest to what was written. */
  readonly nearest?: string
  readonly at?: string
}

export type Parsed<Value> = { readonly value: Value } | { readonly problems: readonly ValueProblem[] }

/** Kafka's names for the types of configs, as DescribeConfigs reports them. */
export type ConfigType = 'BOOLEAN' | 'STRING' | 'INT' | 'LONG' | 'DOUBLE' | 'LIST'

/** How a kind of value is written, checked and shown. One parser serves file, environment, flags and Kafka's configs. */
export interface ValueType<Value> {
  readonly configType: ConfigType
  /** What may be written, for the reference page. */
  readonly shape: string
  parse(text: string): Parsed<Value>
  /** For values written as a YAML list or map; absent when only a single value makes sense. */
  parseTree?(tree: unknown): Parsed<Value>
  /** As a person would write it: `7d`, `1GiB`. `parse` takes it back. */
  format(value: Value): string
  /** As Kafka's tools write it: plain numbers. `parse` takes it back. */
  formatPlain(value: Value): string
}

export const wrong = (reason: string, nearest?: string): { readonly problems: readonly ValueProblem[] } => ({
  problems: [nearest === undefined ? { reason } : { reason, nearest }],
})

/** The text as it stands in an error: quoted, cut when long. */
export const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)

export const boolean: ValueType<boolean> = {
  configType: 'BOOLEAN',
  shape: '`true` or `false`',
  parse(text) {
    const word = text.trim().toLowerCase()
    if (word === 'true' || word === 'false') return { value: word === 'true' }
    const meant = ['yes', 'on', '1', 'y', 't'].includes(word) ? 'true' : 'false'
    return wrong(`${quoted(text)} is neither true nor false`, meant)
  },
  format: String,
  formatPlain: String,
}

/** One of a closed list of words; case matters, as in Kafka. */
export function oneOf<const Word extends string>(words: readonly Word[]): ValueType<Word> {
  return {
    configType: 'STRING',
    shape: words.map(word => `\`${word}\``).join(', '),
    parse(text) {
      const found = words.find(word => word === text.trim())
      if (found !== undefined) return { value: found }
      return wrong(`${quoted(text)} is not one of ${words.join(', ')}`, nearestWord(text.trim(), words) ?? words[0])
    },
    format: String,
    formatPlain: String,
  }
}

/** Text that matches `pattern`; `expected` says in words what that is. */
export function text(pattern: RegExp, expected: string): ValueType<string> {
  return {
    configType: 'STRING',
    shape: expected,
    parse: value => (pattern.test(value) ? { value } : wrong(`${quoted(value)} is not ${expected}`)),
    format: value => value,
    formatPlain: value => value,
  }
}

/** Values of `item`, written as a YAML list or separated by commas. The empty text is the empty list. */
export function listOf<Item>(item: ValueType<Item>): ValueType<readonly Item[]> {
  const parseAll = (texts: readonly string[]): Parsed<readonly Item[]> => {
    const values: Item[] = []
    const problems: ValueProblem[] = []
    for (const one of texts) {
      const parsed = item.parse(one)
      if ('value' in parsed) values.push(parsed.value)
      else problems.push(...parsed.problems)
    }
    return problems.length > 0 ? { problems } : { value: values }
  }
  const formatAll = (values: readonly Item[]) => values.map(value => item.formatPlain(value)).join(',')
  return {
    configType: 'LIST',
    shape: `a list of: ${item.shape}`,
    parse(joined) {
      const texts = joined.split(',').map(one => one.trim())
      return parseAll(joined.trim() === '' ? [] : texts)
    },
    parseTree(tree) {
      const isScalar = (one: unknown) => ['string', 'number', 'boolean'].includes(typeof one)
      if (!Array.isArray(tree) || !tree.every(isScalar)) return wrong('a list of plain values is expected here')
      return parseAll(tree.map(String))
    },
    format: formatAll,
    formatPlain: formatAll,
  }
}
