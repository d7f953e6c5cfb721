import type { Settings } from '../config/settings.ts'
import { topicPattern } from '../config/topic-pattern.ts'
import { plainRule, type UplinkRule } from '../config/uplink-rules.ts'

/** What of the settings says which topics go up, how, and under which name. */
export type SelectionSettings = Pick<
  Settings,
  'uplink.topics' | 'uplink.topics.exclude' | 'uplink.rename' | 'uplink.rules' | 'downlink'
>

/** Topics of the cluster's own state begin with this; only their whole name selects them. */
const internalPrefix = '__'

/** Which topics go up and how, and the names that they have there. */
export class Selection {
  readonly #included: readonly RegExp[]
  readonly #excluded: readonly RegExp[]
  readonly #exact: ReadonlySet<string>
  readonly #rules: readonly { readonly rule: UplinkRule; readonly patterns: readonly RegExp[] }[]
  /** What came down would come down again. */
  readonly #fromAbove: ReadonlySet<string>
  readonly #settings: SelectionSettings
  readonly #gatewayId: string

  constructor(settings: SelectionSettings, gatewayId: string) {
    this.#settings = settings
    this.#gatewayId = gatewayId
    this.#included = settings['uplink.topics'].map(topicPattern)
    this.#excluded = settings['uplink.topics.exclude'].map(topicPattern)
    this.#exact = new Set(settings['uplink.topics'])
    this.#rules = settings['uplink.rules'].map(rule => ({ rule, patterns: rule.topics.map(topicPattern) }))
    this.#fromAbove = new Set(settings.downlink.map(({ to }) => to))
  }

  /** Does the topic go up? */
  has(topic: string): boolean {
    if (this.#excluded.some(pattern => pattern.test(topic)) || this.#fromAbove.has(topic)) return false
    if (topic.startsWith(internalPrefix)) return this.#exact.has(topic)
    return this.#included.some(pattern => pattern.test(topic))
  }

  /** How the topic goes up. */
  rule(topic: string): UplinkRule {
    return this.#rules.find(({ patterns }) => patterns.some(pattern => pattern.test(topic)))?.rule ?? plainRule
  }

  /** The name that the topic has upstream. */
  target(topic: string): string {
    const values: Record<string, string> = { topic, gateway: this.#gatewayId }
    return this.#settings['uplink.rename'].parts
      .map(part => ('literal' in part ? part.literal : (values[part.name] ?? '')))
      .join('')
  }
}
