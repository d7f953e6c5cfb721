import { crossCheck } from './cross-checks.ts'
import { nearestWord } from './nearest-word.ts'
import { type SettingProblem, settingsError } from './setting-problem.ts'
import { environmentName, flagName, type SettingKey, type Settings, settingKeys, settingRow } from './settings.ts'
import { readSettingsFile } from './settings-file.ts'
import { type Parsed, type ValueProblem, wrong } from './value-types.ts'

/** Everything that settings can come from, read by the caller. */
export interface SettingsInput {
  readonly file?: { readonly path: string; readonly text: string }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Texts of `--a-b-c` flags by setting key. */
  readonly flags: ReadonlyMap<SettingKey, string>
  /** `key=value` texts of `--set`; they win over the other flags. */
  readonly set: readonly string[]
  /** RAM of the machine, or of the container when that is limited. */
  readonly memoryBytes: number
  /** Size in bytes of the file system that will hold the data directory; undefined when it is not known. */
  readonly diskBytes: (dataDirectory: string) => number | undefined
}

/** `live`: changed while the gateway ran, see `LiveSettings`. */
export type SettingOrigin = 'default' | 'file' | 'environment' | 'flag' | 'live'

export interface LoadedSettings {
  readonly settings: Settings
  /** Where each value comes from, for `config print` and DescribeConfigs. */
  readonly origins: ReadonlyMap<SettingKey, SettingOrigin>
}

/** Variables that are ours but no settings. */
const otherVariables = ['BROOKLET_CONFIG']

/** Parts of the file that later versions have; better said than called unknown. */
const laterKeys: Readonly<Record<string, string>> = {
  auth: 'authentication',
}

interface Entry {
  readonly key: string
  readonly place: string
  readonly origin: SettingOrigin
  readonly text?: string
  readonly tree?: unknown
}

/**
 * Settings from, in rising order, the defaults, the file, the environment, flags and `--set`. Pure. Throws one `StartError` (exit
 * code 64) that names every problem of every source, with the nearest valid value or key.
 */
export function loadSettings(input: SettingsInput): LoadedSettings {
  const problems: SettingProblem[] = []
  const values = new Map<SettingKey, { value: unknown; place: string; origin: SettingOrigin }>()
  for (const entry of [
    ...fileEntries(input, problems),
    ...environmentEntries(input),
    ...flagEntries(input, problems),
  ]) {
    const key = knownKey(entry, problems)
    if (key === undefined) continue
    const parsed = parseEntry(key, entry)
    if ('value' in parsed) values.set(key, { value: parsed.value, place: entry.place, origin: entry.origin })
    else for (const problem of parsed.problems) problems.push(describe(key, entry.place, problem))
  }
  const choose = (key: SettingKey) => values.get(key)?.value ?? settingRow(key).fallback
  const settings = Object.fromEntries(settingKeys.map(key => [key, choose(key)])) as Settings
  const placeOf = (key: SettingKey) => values.get(key)?.place ?? 'default'
  problems.push(...crossCheck(settings, input.diskBytes(settings['data.dir']), input.memoryBytes, placeOf))
  if (problems.length > 0) throw settingsError(problems)
  return { settings, origins: new Map(settingKeys.map(key => [key, values.get(key)?.origin ?? 'default'])) }
}

function fileEntries(input: SettingsInput, problems: SettingProblem[]): Entry[] {
  if (input.file === undefined) return []
  const read = readSettingsFile(input.file.path, input.file.text)
  problems.push(...read.problems)
  return read.entries.map(entry => ({ ...entry, origin: 'file' }))
}

function environmentEntries(input: SettingsInput): Entry[] {
  const keys = new Map(settingKeys.map(key => [environmentName(key), key]))
  return Object.entries(input.environment).flatMap(([name, text]): Entry[] => {
    if (!name.startsWith('BROOKLET_') || otherVariables.includes(name) || text === undefined) return []
    return [{ key: keys.get(name) ?? name, place: name, origin: 'environment', text }]
  })
}

function flagEntries(input: SettingsInput, problems: SettingProblem[]): Entry[] {
  const entries = [...input.flags].map(([key, text]): Entry => ({ key, place: flagName(key), origin: 'flag', text }))
  for (const assignment of input.set) {
    const equals = assignment.indexOf('=')
    if (equals > 0) {
      const key = assignment.slice(0, equals).trim()
      entries.push({ key, place: '--set', origin: 'flag', text: assignment.slice(equals + 1) })
    } else {
      problems.push({ key: assignment, place: '--set', reason: 'key=value is expected' })
    }
  }
  return entries
}

function knownKey(entry: Entry, problems: SettingProblem[]): SettingKey | undefined {
  const known = settingKeys.find(key => key === entry.key)
  if (known !== undefined) return known
  const { key, place } = entry
  const later = laterKeys[key.split('.')[0] ?? '']
  const names = entry.origin === 'environment' ? settingKeys.map(environmentName) : settingKeys
  const nearest = later === undefined ? nearestWord(key, names) : undefined
  const reason =
    later === undefined ? 'there is no such setting' : `${later} is not in this version of Brooklet; take it out`
  const subject = entry.origin === 'environment' ? '' : key
  problems.push({ key: subject, place, reason, ...(nearest === undefined ? {} : { nearest }) })
  return undefined
}

function parseEntry(key: SettingKey, entry: Entry): Parsed<unknown> {
  const { type } = settingRow(key)
  if (entry.text !== undefined) return type.parse(entry.text)
  return (
    type.parseTree?.(entry.tree) ?? wrong('takes one value, not a list or a map', type.format(settingRow(key).fallback))
  )
}

function describe(key: SettingKey, place: string, { at = '', reason, nearest }: ValueProblem): SettingProblem {
  const row = settingRow(key)
  // an error about a secret must not repeat it
  if (row.secret) return { key, place, reason: `is not ${row.type.shape}` }
  const better = nearest ?? (at === '' ? row.type.format(row.fallback) : '')
  return { key: `${key}${at}`, place, reason, ...(better === '' ? {} : { nearest: better }) }
}
