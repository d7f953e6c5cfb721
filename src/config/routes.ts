import { parse } from 'yaml'
import { parseTemplate, placeholderName, type Template } from './template.ts'
import { parseItems, TreeReader } from './tree.ts'
import { type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** One level of the pattern of a route. `rest` and an unnamed rest (`#`) stand last. */
export type RouteLevel =
  | { readonly kind: 'literal'; readonly text: string }
  /** Any one level; `name` is absent for `+`. */
  | { readonly kind: 'one'; readonly name?: string }
  /** All further levels; `name` is absent for `#`. */
  | { readonly kind: 'rest'; readonly name?: string }

/** How the key of a record is made: the whole MQTT topic (also when the route says nothing), a template, or none at all. */
export type RouteKey =
  | { readonly kind: 'mqttTopic' }
  | { readonly kind: 'template'; readonly template: Template }
  | { readonly kind: 'none' }

/** From an MQTT topic to the log, or past it. The first route that matches wins. */
export type Route =
  | { readonly mqtt: string; readonly levels: readonly RouteLevel[]; readonly store: false }
  | {
      readonly mqtt: string
      readonly levels: readonly RouteLevel[]
      readonly store: true
      readonly topic: Template
      readonly key: RouteKey
      readonly headers: ReadonlyMap<string, Template>
      /** `sparkplug`: a record for each metric; undefined: payloads are stored as they come. */
      readonly decode: 'sparkplug' | undefined
    }

/** In the key of a route that decodes Sparkplug: the name of the metric. */
export const metricName = 'metric'

/** Routes that a gateway may have; each costs a comparison per new MQTT topic. */
const MAX_ROUTES = 1000

/** The setting `routes`: a YAML list, or the same as text. */
export const routes: ValueType<readonly Route[]> = {
  configType: 'STRING',
  shape: 'a list of routes',
  parse: text => parseText(text, parseRoutes),
  parseTree: parseRoutes,
  format: formatRoutes,
  formatPlain: formatRoutes,
}

export function parseRoutes(tree: unknown): Parsed<readonly Route[]> {
  const parsed = parseItems(tree, readRoute)
  const tooMany = 'value' in parsed && parsed.value.length > MAX_ROUTES
  return tooMany ? wrong(`at most ${MAX_ROUTES} routes are possible`) : parsed
}

/** YAML text (a flow list, as on the command line) to `parseTree`. */
export function parseText<Value>(text: string, parseTree: (tree: unknown) => Parsed<Value>): Parsed<Value> {
  try {
    return parseTree(text.trim() === '' ? [] : parse(text))
  } catch {
    return wrong(`${quoted(text)} is not a YAML list`)
  }
}

function readRoute(tree: unknown, place: string): { item: Route | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, ['mqtt', 'topic', 'key', 'headers', 'decode', 'store'])
  const mqtt = reader.text('mqtt', true)
  const levels = mqtt === undefined ? undefined : reader.take('mqtt', parsePattern(mqtt))
  const store = reader.boolean('store', true)
  if (!store) {
    for (const key of ['topic', 'key', 'headers', 'decode'])
      if (reader.has(key)) reader.fail(key, 'has no meaning with store: false')
    return {
      item: finish(reader, mqtt, levels, (pattern, found) => ({ mqtt: pattern, levels: found, store })),
      problems: reader.problems,
    }
  }
  const names = levels?.flatMap(level => ('name' in level && level.name !== undefined ? [level.name] : []))
  const topic = readTopic(reader, names)
  const decode = readDecode(reader)
  const key = readKey(reader, decode === undefined ? names : names?.concat(metricName))
  const headers = readHeaders(reader, names)
  const item = finish(reader, mqtt, levels, (pattern, found) =>
    topic === undefined ? undefined : { mqtt: pattern, levels: found, store, topic, key, headers, decode },
  )
  return { item, problems: reader.problems }
}

function finish(
  reader: TreeReader,
  mqtt: string | undefined,
  levels: readonly RouteLevel[] | undefined,
  make: (mqtt: string, levels: readonly RouteLevel[]) => Route | undefined,
): Route | undefined {
  return reader.problems.length > 0 || mqtt === undefined || levels === undefined ? undefined : make(mqtt, levels)
}

function readTopic(reader: TreeReader, names: readonly string[] | undefined): Template | undefined {
  const text = reader.text('topic', true)
  if (text === undefined) return undefined
  const topic = reader.take('topic', parseTemplate(text, names))
  const literals = (topic?.parts ?? []).map(part => ('literal' in part ? part.literal : 'x')).join('')
  if (topic !== undefined && !/^[A-Za-z0-9._-]{1,249}$/.test(literals)) {
    reader.fail(
      'topic',
      `${quoted(text)} is not a topic name`,
      literals.replaceAll(/[^A-Za-z0-9._-]/g, '_') || 'sensors',
    )
  }
  if (literals.startsWith('__'))
    reader.fail('topic', 'names that begin with __ belong to the broker', literals.replace(/^_+/, ''))
  return topic
}

function readKey(reader: TreeReader, names: readonly string[] | undefined): RouteKey {
  if (!reader.has('key')) return { kind: 'mqttTopic' }
  if (reader.isNull('key')) return { kind: 'none' }
  const text = reader.text('key', false)
  const template = text === undefined ? undefined : reader.take('key', parseTemplate(text, names))
  return template === undefined ? { kind: 'none' } : { kind: 'template', template }
}

function readDecode(reader: TreeReader): 'sparkplug' | undefined {
  const text = reader.text('decode', false)
  if (text !== undefined && text !== 'sparkplug')
    reader.fail('decode', `${quoted(text)} is not a form of payloads`, 'sparkplug')
  return text === 'sparkplug' ? text : undefined
}

function readHeaders(reader: TreeReader, names: readonly string[] | undefined): ReadonlyMap<string, Template> {
  const headers = new Map<string, Template>()
  for (const [name, text] of reader.texts('headers')) {
    const template = reader.take(`headers.${name}`, parseTemplate(text, names))
    if (template !== undefined) headers.set(name, template)
  }
  return headers
}

/** `sensors/{site}/+/{rest...}` as levels. A placeholder or wildcard fills its whole level; what takes the rest stands last. */
export function parsePattern(pattern: string): Parsed<readonly RouteLevel[]> {
  if (pattern === '' || Buffer.byteLength(pattern) > 65_535 || pattern.includes('\0'))
    return wrong('is not an MQTT topic filter')
  const levels: RouteLevel[] = []
  const texts = pattern.split('/')
  for (const [index, text] of texts.entries()) {
    const level = parseLevel(text)
    if (level === undefined)
      return wrong(`the level ${quoted(text)} mixes text with a wildcard or placeholder; each fills a whole level`)
    const isLast = index === texts.length - 1
    if (level.kind === 'rest' && !isLast)
      return wrong(`${quoted(text)} takes the rest of the topic and must stand last`)
    const name = 'name' in level ? level.name : undefined
    if (name !== undefined && levels.some(other => 'name' in other && other.name === name)) {
      return wrong(`the placeholder {${name}} stands there twice`)
    }
    levels.push(level)
  }
  return { value: levels }
}

function parseLevel(text: string): RouteLevel | undefined {
  if (text === '+') return { kind: 'one' }
  if (text === '#') return { kind: 'rest' }
  const [, name, dots] = /^\{(.*?)(\.\.\.)?\}$/.exec(text) ?? []
  if (name !== undefined && placeholderName.test(name)) return { kind: dots === undefined ? 'one' : 'rest', name }
  return /[+#{}]/.test(text) ? undefined : { kind: 'literal', text }
}

function formatRoutes(list: readonly Route[]): string {
  return JSON.stringify(
    list.map(route => {
      if (!route.store) return { mqtt: route.mqtt, store: false }
      const headers = Object.fromEntries([...route.headers].map(([name, template]) => [name, template.text]))
      const key =
        route.key.kind === 'mqttTopic' ? {} : { key: route.key.kind === 'none' ? null : route.key.template.text }
      return {
        mqtt: route.mqtt,
        topic: route.topic.text,
        ...key,
        ...(route.headers.size > 0 ? { headers } : {}),
        ...(route.decode === undefined ? {} : { decode: route.decode }),
      }
    }),
  )
}
