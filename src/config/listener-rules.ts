import { parse } from 'yaml'
import { formatListenUrl, frontOf, isTls, type ListenUrl, listenerUrl } from './listen-url.ts'
import { type ListenerSettings, listenerSettings } from './listener-settings.ts'
import { nearestWord } from './nearest-word.ts'
import type { Setting } from './setting-row.ts'
import { type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

type ListenerKey = keyof ListenerSettings

/** What holds for single listeners instead of the settings for all: by URL, as `formatListenUrl` writes it. */
export type ListenerRules = ReadonlyMap<string, Partial<ListenerSettings>>

const keys = Object.keys(listenerSettings) as ListenerKey[]
const rowOf = (key: ListenerKey): Setting<unknown> => listenerSettings[key] as Setting<unknown>

/** The setting `listeners`: a YAML map of URLs and their settings, or the same as text. */
export const listeners: ValueType<ListenerRules> = {
  configType: 'STRING',
  shape: `a map from URLs, as they stand in \`mqtt.listen\`, \`kafka.listen\` or \`http.listen\`, to settings: ${keys.map(key => `\`${key}\``).join(', ')}`,
  parse(text) {
    try {
      return parseRules(text.trim() === '' ? {} : parse(text))
    } catch {
      return wrong(`${quoted(text)} is not a YAML map`)
    }
  },
  parseTree: parseRules,
  format: formatRules,
  formatPlain: formatRules,
}

function parseRules(tree: unknown): Parsed<ListenerRules> {
  if (!isMap(tree))
    return wrong('a map of URLs is expected, such as { mqtts://0.0.0.0:8883: { tls.client.auth: required } }')
  const rules = new Map<string, Partial<ListenerSettings>>()
  const problems: ValueProblem[] = []
  for (const [text, one] of Object.entries(tree)) {
    const url = listenerUrl.parse(text)
    if (!('value' in url)) {
      problems.push(...url.problems)
      continue
    }
    const name = formatListenUrl(url.value)
    const fail = (key: string, reason: string, nearest?: string): void =>
      void problems.push({ at: `[${name}]${key}`, reason, ...(nearest === undefined ? {} : { nearest }) })
    if (rules.has(name)) fail('', 'stands there twice')
    rules.set(name, readRules(url.value, one, fail))
  }
  return problems.length > 0 ? { problems } : { value: rules }
}

function readRules(
  url: ListenUrl,
  tree: unknown,
  fail: (key: string, reason: string, nearest?: string) => void,
): Partial<ListenerSettings> {
  const rules: Record<string, unknown> = {}
  if (!isMap(tree)) fail('', 'a map of settings is expected')
  for (const [name, value] of isMap(tree) ? leaves(tree) : []) {
    const key = keys.find(known => known === name)
    const parsed = key === undefined ? undefined : rowOf(key).type.parse(value)
    if (key === undefined) fail(`.${name}`, 'is no setting of a listener', nearestWord(name, keys))
    else if (!appliesTo(key, url)) fail(`.${key}`, `has no meaning for ${url.scheme}`)
    else if (parsed !== undefined && 'value' in parsed) rules[key] = parsed.value
    else for (const { reason, nearest } of parsed?.problems ?? []) fail(`.${key}`, reason, nearest)
  }
  return rules
}

const appliesTo = (key: ListenerKey, url: ListenUrl): boolean => {
  const [prefix = ''] = key.split('.')
  if (prefix === 'tls') return isTls(url)
  return ['mqtt', 'kafka'].includes(prefix) ? prefix === frontOf(url) : frontOf(url) !== 'http'
}

const isMap = (tree: unknown): tree is Record<string, unknown> =>
  typeof tree === 'object' && tree !== null && !Array.isArray(tree)

/** Plain values by dotted key; keys may be dotted, nested or both. */
function* leaves(tree: Record<string, unknown>, prefix = ''): Generator<[key: string, text: string]> {
  for (const [name, value] of Object.entries(tree)) {
    if (isMap(value)) yield* leaves(value, `${prefix}${name}.`)
    else yield [`${prefix}${name}`, Array.isArray(value) ? JSON.stringify(value) : String(value)]
  }
}

function formatRules(rules: ListenerRules): string {
  if (rules.size === 0) return ''
  const shown = [...rules].map(([url, one]) => {
    const texts = Object.entries(one).map(([key, value]) => [key, rowOf(key as ListenerKey).type.format(value)])
    return [url, Object.fromEntries(texts)]
  })
  return JSON.stringify(Object.fromEntries(shown))
}
