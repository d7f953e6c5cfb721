import type { LoadedSettings, SettingOrigin } from './load.ts'
import { type SettingKey, settingKeys, settingRow } from './settings.ts'

export interface ShownSetting {
  readonly key: SettingKey
  /** As a person would write it; null for a secret. */
  readonly value: string | null
  readonly origin: SettingOrigin
}

/** All settings as they may be shown to people and served: in the order of the table, secrets left out. */
export const shownSettings = ({ settings, origins }: LoadedSettings): ShownSetting[] =>
  settingKeys.map(key => {
    const row = settingRow(key)
    return { key, value: row.secret ? null : row.type.format(settings[key]), origin: origins.get(key) ?? 'default' }
  })

/** Settings as lines of `brooklet.yaml` that load back to the same values; a comment tells the origin where it is not the default. */
export function formatSettingsFile(loaded: LoadedSettings): string {
  const lines = shownSettings(loaded).map(({ key, value, origin }) => {
    if (value === null) return `# ${key}: not shown`
    const comment = origin === 'default' ? '' : `   # from the ${origin}`
    // a default that only the machine can settle is no value that the file could hold
    const isAsWritten = 'value' in settingRow(key).type.parse(value)
    return `${isAsWritten ? '' : '# '}${key}: ${quoteYaml(value)}${comment}`
  })
  return `${lines.join('\n')}\n`
}

/** Plain where YAML reads it back as the same text, double quoted elsewhere. What was formatted as JSON is YAML already. */
const quoteYaml = (value: string): string =>
  value.startsWith('[') || (/^[\w./-][\w./:%-]*$/.test(value) && !value.endsWith(':')) ? value : JSON.stringify(value)
