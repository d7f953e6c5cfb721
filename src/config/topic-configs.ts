import { BrokerError } from '../core/errors.ts'
import { nearestWord } from './nearest-word.ts'
import type { Settings } from './settings.ts'
import { type TopicConfigKey, type TopicConfigValues, topicConfigKeys, topicConfigRow } from './topic-config-table.ts'

/** What was set for a topic: name -> text, as Kafka's tools write it. */
export type TopicOverrides = ReadonlyMap<string, string>

/** One change of IncrementalAlterConfigs (KIP-339). APPEND and SUBTRACT are for lists only. */
export interface ConfigChange {
  readonly name: string
  readonly operation: 'SET' | 'DELETE' | 'APPEND' | 'SUBTRACT'
  /** Null only for DELETE. */
  readonly value: string | null
}

interface Retention {
  readonly ms: number
  readonly bytes: number
  readonly class: 'bulk' | 'normal' | 'critical'
}

/** How records go once a newer one has their key, as `storage` wants it. */
interface Compaction {
  readonly minDirtyRatio: number
  readonly minDirtyBytes: number
  readonly minLagMs: number
  readonly maxLagMs: number
  readonly deleteRetentionMs: number
  readonly alsoDeletes: boolean
}

/** How appended batches are judged, as `broker` wants it. */
interface BatchRules {
  readonly maxBatchBytes: number
  readonly appendTime: boolean
  readonly compacted: boolean
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
}

/** The topic configs of one gateway: its settings give the defaults. All errors are `invalidConfig`, one line. */
export class TopicConfigs {
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** The value a topic has when it sets nothing, as text. */
  defaultText(key: TopicConfigKey): string {
    return topicConfigRow(key).type.formatPlain(this.#fallback(key))
  }

  /** Throws for the first name or value that is wrong, or when values contradict each other. */
  check(overrides: TopicOverrides): void {
    for (const [name, value] of overrides) this.#parse(configKey(name), value)
    const { 'min.compaction.lag.ms': least, 'max.compaction.lag.ms': most } = this.values(overrides)
    if (least > most)
      throw invalid('min.compaction.lag.ms', `${least} is above max.compaction.lag.ms, which is ${most}`)
  }

  /** Overrides as they are stored: `7d` becomes `604800000`. Throws as `check` does. */
  normalize(overrides: TopicOverrides): Map<string, string> {
    this.check(overrides)
    return new Map([...overrides].map(([name, value]) => [name, this.#plain(configKey(name), value)]))
  }

  /** All values of a topic. The overrides were checked when they were stored. */
  values(overrides: TopicOverrides): TopicConfigValues {
    const valueFor = (key: TopicConfigKey): unknown => {
      const set = overrides.get(key)
      return set === undefined ? this.#fallback(key) : this.#parse(key, set)
    }
    return Object.fromEntries(topicConfigKeys.map(key => [key, valueFor(key)])) as TopicConfigValues
  }

  /** The overrides after `changes`. Throws when a change or the result is wrong; then nothing is to be stored. */
  alter(overrides: TopicOverrides, changes: readonly ConfigChange[]): Map<string, string> {
    const altered = new Map(overrides)
    for (const change of changes) this.#applyChange(altered, change)
    return this.normalize(altered)
  }

  retention(overrides: TopicOverrides): Retention {
    const values = this.values(overrides)
    // a compacted topic keeps the newest record of each key for ever, unless delete is there too
    if (!values['cleanup.policy'].includes('delete'))
      return { ms: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY, class: values['retention.class'] }
    return { ms: values['retention.ms'], bytes: values['retention.bytes'], class: values['retention.class'] }
  }

  /** Does an acknowledgement to the full wait for the central cluster? */
  needsCentral(overrides: TopicOverrides): boolean {
    return overrides.get('min.insync.replicas') === '2'
  }

  durability(overrides: TopicOverrides): 'commit' | 'relaxed' {
    return this.values(overrides).durability
  }

  /** Undefined when `cleanup.policy` does not contain compact. */
  compaction(overrides: TopicOverrides): Compaction | undefined {
    const values = this.values(overrides)
    if (!values['cleanup.policy'].includes('compact')) return undefined
    return {
      minDirtyRatio: values['min.cleanable.dirty.ratio'],
      minDirtyBytes: 0,
      minLagMs: values['min.compaction.lag.ms'],
      maxLagMs: values['max.compaction.lag.ms'],
      deleteRetentionMs: values['delete.retention.ms'],
      alsoDeletes: values['cleanup.policy'].includes('delete'),
    }
  }

  batchRules(overrides: TopicOverrides): BatchRules {
    const values = this.values(overrides)
    return {
      maxBatchBytes: values['max.message.bytes'],
      appendTime: values['message.timestamp.type'] === 'LogAppendTime',
      compacted: values['cleanup.policy'].includes('compact'),
      timestampBeforeMaxMs: values['message.timestamp.before.max.ms'],
      timestampAfterMaxMs: values['message.timestamp.after.max.ms'],
    }
  }

  #applyChange(altered: Map<string, string>, { name, operation, value }: ConfigChange): void {
    const key = configKey(name)
    if (operation === 'DELETE') {
      altered.delete(key)
      return
    }
    if (value === null) throw invalid(key, `${operation} needs a value`)
    if (operation === 'SET') {
      altered.set(key, value)
      return
    }
    if (topicConfigRow(key).type.configType !== 'LIST') throw invalid(key, `${operation} is for lists only`)
    this.#plain(key, value)
    const items = listItems(altered.get(key) ?? this.defaultText(key))
    const named = listItems(value)
    const kept =
      operation === 'SUBTRACT' ? items.filter(item => !named.includes(item)) : [...new Set([...items, ...named])]
    altered.set(key, kept.join(','))
  }

  #fallback(key: TopicConfigKey): unknown {
    const { setting, fallback } = topicConfigRow(key)
    return setting === undefined ? fallback : this.#settings[setting]
  }

  #plain(key: TopicConfigKey, value: string): string {
    return topicConfigRow(key).type.formatPlain(this.#parse(key, value))
  }

  #parse(key: TopicConfigKey, value: string): unknown {
    const parsed = topicConfigRow(key).type.parse(value)
    if ('problems' in parsed) {
      const { reason, nearest } = parsed.problems[0] ?? { reason: 'is not valid' }
      throw invalid(key, nearest === undefined ? reason : `${reason}; nearest: ${nearest}`)
    }
    const limit = this.#settings['max.message.bytes']
    if (key === 'max.message.bytes' && (parsed.value as number) > limit) {
      throw invalid(key, `${value} is above the gateway's max.message.bytes; nearest: ${limit}`)
    }
    return parsed.value
  }
}

const listItems = (text: string): string[] =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

function configKey(name: string): TopicConfigKey {
  const key = topicConfigKeys.find(known => known === name)
  if (key !== undefined) return key
  const nearest = nearestWord(name, topicConfigKeys)
  throw new BrokerError(
    'invalidConfig',
    `there is no topic config ${JSON.stringify(name)}${nearest === undefined ? '' : `; nearest: ${nearest}`}`,
  )
}

const invalid = (key: string, reason: string): BrokerError =>
  new BrokerError('invalidConfig', `topic config ${key}: ${reason}`)
