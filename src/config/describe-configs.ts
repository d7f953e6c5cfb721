import type { SettingOverrides } from './live-settings.ts'
import type { LoadedSettings } from './load.ts'
import { type SettingKey, settingKeys, settingRow } from './settings.ts'
import { type TopicConfigKey, topicConfigKeys, topicConfigRow } from './topic-config-table.ts'
import type { TopicConfigs, TopicOverrides } from './topic-configs.ts'
import type { ConfigType } from './value-types.ts'

/** Codes of ConfigType in DescribeConfigs v3 and later. */
export const configTypeCodes: Readonly<Record<ConfigType, number>> = {
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
}

/** Where a value comes from. */
export type ConfigSource = 'TOPIC' | 'DYNAMIC_BROKER' | 'STATIC_BROKER' | 'DEFAULT'

/** Codes of ConfigSource in DescribeConfigs v1 and later. */
export const configSourceCodes: Readonly<Record<ConfigSource, number>> = {
  TOPIC: 1,
  DYNAMIC_BROKER: 2,
  STATIC_BROKER: 4,
  DEFAULT: 5,
}

export interface ConfigSynonym {
  readonly name: string
  /** Null when it must not be shown. */
  readonly value: string | null
  readonly source: ConfigSource
}

/** One config as DescribeConfigs answers it. */
export interface DescribedConfig extends ConfigSynonym {
  readonly readOnly: boolean
  readonly sensitive: boolean
  readonly type: ConfigType
  readonly docs: string
  /** The value in force first, then what it hides, down to the default. */
  readonly synonyms: readonly ConfigSynonym[]
}

/** All configs of a topic, in the order of their names; `names` picks some, unknown ones are left out as Kafka does. */
export function describeTopic(
  configs: TopicConfigs,
  overrides: TopicOverrides,
  loaded: LoadedSettings,
  names?: readonly string[],
): DescribedConfig[] {
  return topicConfigKeys
    .filter(key => names === undefined || names.includes(key))
    .map(key => describeTopicConfig(key, configs, overrides, loaded))
}

function describeTopicConfig(
  key: TopicConfigKey,
  configs: TopicConfigs,
  overrides: TopicOverrides,
  loaded: LoadedSettings,
): DescribedConfig {
  const row = topicConfigRow(key)
  const name = row.broker ?? key
  const own = overrides.get(key)
  const fromSetting = row.setting !== undefined && loaded.origins.get(row.setting) !== 'default'
  const synonyms: ConfigSynonym[] = []
  if (own !== undefined) synonyms.push({ name: key, value: own, source: 'TOPIC' })
  if (fromSetting) synonyms.push({ name, value: configs.defaultText(key), source: 'STATIC_BROKER' })
  synonyms.push({ name, value: row.type.formatPlain(row.fallback), source: 'DEFAULT' })
  const { value, source } = synonyms[0]!
  const docs = row.effect === 'accepted' ? `Without effect here. ${row.docs}` : row.docs
  return { name: key, value, source, readOnly: false, sensitive: false, type: row.type.configType, docs, synonyms }
}

/** The gateway's settings as configs of its one broker: under Kafka's name where there is one, else under their own. */
export function describeBroker(
  { settings, origins }: LoadedSettings,
  overrides: SettingOverrides,
  names?: readonly string[],
): DescribedConfig[] {
  const nameOf = (key: SettingKey) => settingRow(key).kafka ?? key
  return settingKeys
    .filter(key => names === undefined || names.includes(nameOf(key)))
    .map(key => {
      const row = settingRow(key)
      const name = nameOf(key)
      const shown = (value: unknown) => (row.secret ? null : row.type.formatPlain(value))
      const synonyms: ConfigSynonym[] = [{ name, value: shown(row.fallback), source: 'DEFAULT' }]
      if (origins.get(key) !== 'default')
        synonyms.unshift({ name, value: shown(settings[key]), source: 'STATIC_BROKER' })
      const override = overrides.get(key)
      if (override !== undefined) synonyms.unshift({ name, value: override, source: 'DYNAMIC_BROKER' })
      const { value, source } = synonyms[0]!
      const docs = row.docs === undefined ? `${row.help}.` : `${row.help}. ${row.docs}`
      const sensitive = row.secret === true
      return { name, value, source, readOnly: row.live !== true, sensitive, type: row.type.configType, docs, synonyms }
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}
