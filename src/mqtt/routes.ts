import { metricName, type Route, type RouteKey, type RouteLevel } from '../config/routes.ts'
import type { Template } from '../config/template.ts'
import { isSystemTopic } from '../wire/mqtt/topic-name.ts'
import { parseSparkplugTopic, type SparkplugTopic } from '../wire/sparkplug/topic.ts'
import { defaultName, legalName } from './default-route.ts'

/** Where records of one MQTT topic go. Made once per topic, then cached. */
export type Destination = StoredDestination | { readonly store: false; readonly rule: Rule }

export interface StoredDestination {
  readonly store: true
  readonly rule: Rule
  readonly topic: string
  /** Null: no key; records spread over the partitions batch by batch. */
  readonly key: Buffer | null
  /** The key is the whole MQTT topic, so that no header has to say it. */
  readonly keyIsTopic: boolean
  readonly headers: ReadonlyMap<string, string>
  /** Its payloads become records of metrics. */
  readonly sparkplug?: SparkplugDestination
  /** What the topic's name was made of, and why it differs. */
  readonly level: string
  readonly note?: string
}

export interface SparkplugDestination {
  readonly topic: SparkplugTopic
  /** The key of the record of a metric; `path` is `group/edge node[/device]/metric`. Null: it has none. */
  readonly keyOf: (path: string, metric: string) => string | null
}

/** Which rule decided: a configured route, the default route, or the ban on `$` topics. */
export type Rule =
  | { readonly kind: 'configured'; readonly index: number; readonly route: Route }
  | { readonly kind: 'default' }
  | { readonly kind: 'system' }

/** Finds the destination of an MQTT topic: first configured route that matches, else the default route. */
export function destinationOf(routes: readonly Route[], mqttTopic: string): Destination {
  if (isSystemTopic(mqttTopic)) return { store: false, rule: { kind: 'system' } }
  const levels = mqttTopic.split('/')
  for (const [index, route] of routes.entries()) {
    const names = matchLevels(route.levels, levels)
    if (names !== undefined) return configured(route, index, names, mqttTopic)
  }
  const { topic, level, note } = defaultName(mqttTopic)
  return {
    store: true,
    rule: { kind: 'default' },
    topic,
    key: Buffer.from(mqttTopic),
    keyIsTopic: true,
    headers: new Map(),
    level,
    ...(note === undefined ? {} : { note }),
  }
}

function configured(route: Route, index: number, names: ReadonlyMap<string, string>, mqttTopic: string): Destination {
  const rule = { kind: 'configured', index, route } as const
  if (!route.store) return { store: false, rule }
  const { topic, level, note } = legalName(fill(route.topic, names))
  const sparkplugTopic = route.decode === 'sparkplug' ? parseSparkplugTopic(mqttTopic) : undefined
  const keyOf = keysOf(route.key, names)
  // what cannot be decoded has no metric: its key is the MQTT topic
  const keyIsTopic = route.key.kind === 'mqttTopic' || (sparkplugTopic !== undefined && route.key.kind === 'template')
  const key = keyIsTopic ? mqttTopic : keyOf(mqttTopic, '')
  const headers = new Map([...route.headers].map(([name, template]) => [name, fill(template, names)]))
  return {
    store: true,
    rule,
    topic,
    key: key === null ? null : Buffer.from(key),
    keyIsTopic,
    headers,
    ...(sparkplugTopic !== undefined && { sparkplug: { topic: sparkplugTopic, keyOf } }),
    level,
    ...(note === undefined ? {} : { note }),
  }
}

/** `whole` is what a route without a key of its own has for one. */
function keysOf(key: RouteKey, names: ReadonlyMap<string, string>): (whole: string, metric: string) => string | null {
  if (key.kind === 'none') return () => null
  if (key.kind === 'mqttTopic') return whole => whole
  return (_, metric) => fill(key.template, new Map([...names, [metricName, metric]]))
}

/** The values of the placeholders when the pattern matches. As in MQTT, what takes the rest matches no further level too. */
function matchLevels(pattern: readonly RouteLevel[], levels: readonly string[]): Map<string, string> | undefined {
  const names = new Map<string, string>()
  for (const [index, wanted] of pattern.entries()) {
    if (wanted.kind === 'rest') {
      if (wanted.name !== undefined) names.set(wanted.name, levels.slice(index).join('/'))
      return names
    }
    const level = levels[index]
    if (level === undefined) return undefined
    if (wanted.kind === 'literal' && wanted.text !== level) return undefined
    if (wanted.kind === 'one' && wanted.name !== undefined) names.set(wanted.name, level)
  }
  return pattern.length === levels.length ? names : undefined
}

/** The text of a template; settings have checked that every placeholder has a name. */
export const fill = (template: Template, names: ReadonlyMap<string, string>): string =>
  template.parts.map(part => ('literal' in part ? part.literal : (names.get(part.name) ?? ''))).join('')
