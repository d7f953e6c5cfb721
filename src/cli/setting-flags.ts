import { type Command, Option } from 'commander'
import { type LoadedSettings, loadSettings } from '../config/load.ts'
import { flagName, type SettingKey, settingKeys, settingRow } from '../config/settings.ts'
import { StartError } from '../core/errors.ts'
import { systemErrorText } from '../core/system-error.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { collected } from './option-values.ts'

interface FlagValues {
  readonly config?: string
  readonly set?: readonly string[]
  readonly [flag: string]: unknown
}

const attributeOf = (key: SettingKey): string => new Option(`${flagName(key)} <value>`).attributeName()

/** Adds `--config`, `--set` and one flag per setting to a command that runs a gateway. */
export const addSettingFlags = (command: Command): Command => {
  command.option('--config <file>', 'settings file (YAML); also BROOKLET_CONFIG')
  command.option('--set <key=value>', 'any setting by its key; may be repeated', collected)
  for (const key of settingKeys) {
    const { help, type, fallback } = settingRow(key)
    const shown = fallback === Number.POSITIVE_INFINITY ? 'no limit' : type.format(fallback)
    const description = shown === '' || shown === '[]' ? help : `${help} (default: ${shown})`
    command.addOption(new Option(`${flagName(key)} <value>`, description).helpGroup(headingOf(key)))
  }
  return command
}

/** Headings of the help, by the first pattern that fits a key. */
const headings: readonly (readonly [string, RegExp])[] = [
  ['Addresses:', /\.listen$|^kafka\.advertised$|^insecure\.|^tls\.|^proxy\.|^listeners$|^connection\.setup/],
  ['MQTT:', /^(mqtt\.|routes$|deliver$)/],
  ['HTTP:', /^http\./],
  ['Uplink and downlink:', /^(uplink|downlink|replica)\b/],
  ['Disk, memory and commits:', /^(disk|memory|commit|gaps)\./],
  ['Topics and records:', /^(num\.partitions|auto\.create|partitions|max\.message|retention|message|replication)/],
  ['Consumer groups:', /^(groups?|offsets?)\./],
  ['Kafka clients:', /^(kafka|connections|socket|fetch|producer|transaction)/],
]

const headingOf = (key: SettingKey): string => headings.find(([, pattern]) => pattern.test(key))?.[0] ?? 'Gateway:'

/** The settings that file, environment and flags give. Throws `StartError` 64 with every problem at once. */
export const settingsFromFlags = async (flags: FlagValues): Promise<LoadedSettings> => {
  const path = flags.config ?? host.environment['BROOKLET_CONFIG']
  const chosen = new Map<SettingKey, string>()
  for (const key of settingKeys) {
    const text = flags[attributeOf(key)]
    if (typeof text === 'string') chosen.set(key, text)
  }
  return loadSettings({
    ...(path === undefined ? {} : { file: { path, text: await readSettingsText(path) } }),
    environment: host.environment,
    flags: chosen,
    set: flags.set ?? [],
    memoryBytes: host.memoryBytes(),
    diskBytes: host.fileSystemBytes,
  })
}

const readSettingsText = async (path: string): Promise<string> => {
  try {
    const bytes = await nodeFiles.readSmall(path)
    if (bytes !== undefined) return bytes.toString()
  } catch (error) {
    throw new StartError(64, `settings file ${path} cannot be read: ${systemErrorText(error as Error)}`)
  }
  throw new StartError(64, `there is no settings file ${path}; name another with --config, or leave it out`)
}
