import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadSettings } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/settings.ts'
import type { Case } from '../cases.ts'

const path = fileURLToPath(new URL('../paho.yaml', import.meta.url))

const loaded = loadSettings({
  file: { path, text: readFileSync(path, 'utf8') },
  environment: {},
  flags: new Map(),
  set: [],
  memoryBytes: 1 << 30,
  diskBytes: () => undefined,
})

/** What `paho.yaml` sets. */
const settings: Partial<Settings> = Object.fromEntries(
  [...loaded.origins].filter(([, origin]) => origin === 'file').map(([key]) => [key, loaded.settings[key]]),
)

/** The cases on the gateway that the Paho suites expect. */
export const withPahoSettings = (cases: readonly Case[]): readonly Case[] => cases.map(one => ({ ...one, settings }))
