import { join } from 'node:path'
import { assert } from '../core/assert.ts'
import { crc32c } from '../core/crc32c.ts'
import { BrokerError } from '../core/errors.ts'
import { replaceCopies } from '../platform/block-copies.ts'
import type { Files } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import type { LoadedSettings } from './load.ts'
import { type SettingKey, type Settings, settingKeys, settingRow } from './settings.ts'
import { quoted } from './value-types.ts'

/** Texts by setting, as they were changed while the gateway ran. */
export type SettingOverrides = ReadonlyMap<SettingKey, string>

/** Judges a value, throwing `invalidConfig` when it cannot hold; returns what puts it in force. */
type Change<Key extends SettingKey> = (value: Settings[Key]) => () => void

const fileName = 'settings'
/** Of each of the two equal copies in the file. */
const copyBytes = 4096

/**
 * Settings changed while the gateway runs (rows with `live`). They win over file, environment and flags, also after a restart, until they are
 * deleted. They stand in a file of their own in the data directory and not in the log, because the log's size is one of them.
 */
export class LiveSettings {
  readonly #files: Files
  readonly #path: string
  readonly #given: LoadedSettings
  readonly #changes = new Map<SettingKey, Change<SettingKey>>()
  #overrides: SettingOverrides = new Map()
  #loaded: LoadedSettings
  #busy = false

  /**
   * A file that is damaged is passed over, with a warning. A missing one is made while there is room for it: it is changed in place when the
   * file system is full, so that then, too, the budget can be lowered.
   */
  static async open(files: Files, directory: string, given: LoadedSettings, logger: Logger): Promise<LiveSettings> {
    const live = new LiveSettings(files, join(directory, fileName), given)
    const content = await files.readSmall(live.#path)
    if (content === undefined) {
      await live
        .#store(new Map())
        .catch(error => logger.warn({ path: live.#path, error: String(error) }, 'not written'))
      return live
    }
    const overrides = decode(content)
    if (overrides === undefined) {
      logger.error(
        { path: live.#path },
        'settings that were changed at run time cannot be read: those given at the start hold',
      )
    } else live.#take(overrides)
    return live
  }

  private constructor(files: Files, path: string, given: LoadedSettings) {
    this.#files = files
    this.#path = path
    this.#given = given
    this.#loaded = given
  }

  /** All settings as they are in force. */
  get loaded(): LoadedSettings {
    return this.#loaded
  }

  /** As they were at the start, without what was changed since. */
  get given(): LoadedSettings {
    return this.#given
  }

  get overrides(): SettingOverrides {
    return this.#overrides
  }

  onChange<Key extends SettingKey>(key: Key, change: Change<Key>): void {
    this.#changes.set(key, change as Change<SettingKey>)
  }

  /**
   * `overrides` replace those in force; durable when it resolves. All or nothing. Throws `invalidConfig`, `storageFull` when the file cannot be
   * written.
   */
  async alter(overrides: SettingOverrides, validateOnly: boolean): Promise<void> {
    if (this.#busy) throw new BrokerError('invalidConfig', 'another change of settings is under way')
    const after = overlay(this.#given, overrides)
    const applies: (() => void)[] = []
    for (const key of new Set([...overrides.keys(), ...this.#overrides.keys()])) {
      if (overrides.get(key) === this.#overrides.get(key)) continue
      const change = this.#changes.get(key)
      if (change === undefined) throw new BrokerError('invalidConfig', `${key} cannot be changed just now`)
      applies.push(change(after.settings[key]))
    }
    if (validateOnly || applies.length === 0) return
    this.#busy = true
    try {
      await this.#store(overrides)
    } catch (error) {
      throw new BrokerError('storageFull', `the change cannot be stored in ${this.#path}: ${String(error)}`)
    } finally {
      this.#busy = false
    }
    this.#take(overrides)
    for (const apply of applies) apply()
  }

  #store(overrides: SettingOverrides): Promise<void> {
    return replaceCopies(this.#files, this.#path, encode(overrides), copyBytes)
  }

  #take(overrides: SettingOverrides): void {
    this.#overrides = new Map(overrides)
    this.#loaded = overlay(this.#given, overrides)
  }
}

/** The text of a live setting as it is kept. Throws `invalidConfig`. */
export const liveSettingText = (key: SettingKey, text: string): string => {
  const { type } = settingRow(key)
  const parsed = type.parse(text)
  if ('value' in parsed) return type.format(parsed.value)
  const [problem] = parsed.problems
  throw new BrokerError('invalidConfig', `${key}: ${problem?.reason ?? `${quoted(text)} is not ${type.shape}`}`)
}

const overlay = ({ settings, origins }: LoadedSettings, overrides: SettingOverrides): LoadedSettings => {
  const values: Record<string, unknown> = { ...settings }
  const from = new Map(origins)
  for (const [key, text] of overrides) {
    const parsed = settingRow(key).type.parse(text)
    if (!('value' in parsed)) continue
    values[key] = parsed.value
    from.set(key, 'live')
  }
  return { settings: values as unknown as Settings, origins: from }
}

/** Twice the same: a line for each setting, one with the CRC-32C of these, and empty ones to the end of the block. */
const encode = (overrides: SettingOverrides): Buffer => {
  const lines = [...overrides].map(([key, text]) => `${key}: ${text}\n`).join('')
  const text = `${lines}${checksumLine(lines)}`
  assert(text.length <= copyBytes, 'settings that can be changed at run time are few and short')
  const copy = Buffer.alloc(copyBytes, '\n')
  copy.write(text)
  return Buffer.concat([copy, copy])
}

const checksumLine = (lines: string): string => `# crc32c ${crc32c(Buffer.from(lines)).toString(16).padStart(8, '0')}\n`

/** The first copy that verifies. */
const decode = (content: Buffer): SettingOverrides | undefined => {
  for (let at = 0; at < content.length; at += copyBytes) {
    const overrides = decodeCopy(content.toString('utf8', at, at + copyBytes))
    if (overrides !== undefined) return overrides
  }
  return undefined
}

const decodeCopy = (text: string): SettingOverrides | undefined => {
  const end = text.lastIndexOf('# crc32c ')
  const lines = text.slice(0, Math.max(0, end))
  if (end < 0 || !text.startsWith(checksumLine(lines), end)) return undefined
  const overrides = new Map<SettingKey, string>()
  for (const line of lines.split('\n')) {
    const colon = line.indexOf(': ')
    const key = settingKeys.find(known => known === line.slice(0, colon))
    // settings of a newer version are not ours to judge
    if (key !== undefined && settingRow(key).live) overrides.set(key, line.slice(colon + 2))
  }
  return overrides
}
