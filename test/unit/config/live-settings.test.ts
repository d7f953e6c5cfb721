import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LiveSettings, liveSettingText } from '../../../src/config/live-settings.ts'
import { loadSettings } from '../../../src/config/load.ts'
import { shareOf } from '../../../src/config/share.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { silentLogger } from '../../support/silent-logger.ts'

const MiB = 1024 * 1024
const given = loadSettings({
  environment: {},
  flags: new Map([['disk.budget', '256MiB']]),
  set: [],
  memoryBytes: 8192 * MiB,
  diskBytes: () => undefined,
})

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'brooklet-live-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const lines: string[] = []
const logger = { ...silentLogger, error: (_fields: object, event: string) => void lines.push(event) }
const open = async (applied: number[] = []): Promise<LiveSettings> => {
  const live = await LiveSettings.open(nodeFiles, directory, given, logger)
  live.onChange('disk.budget', share => () => applied.push(shareOf(share, 1000 * MiB) / MiB))
  return live
}
const path = () => join(directory, 'settings')

describe('settings changed at run time', () => {
  test('win over those given, also at the next start, until they are deleted', async () => {
    const applied: number[] = []
    const live = await open(applied)
    await live.alter(new Map([['disk.budget', '512MiB']]), false)
    expect(applied).toEqual([512])
    const next = await open(applied)
    expect(next.loaded.settings['disk.budget']).toEqual({ bytes: 512 * MiB })
    expect(next.loaded.origins.get('disk.budget')).toBe('live')
    expect(next.loaded.settings['data.dir']).toBe(given.settings['data.dir'])
    await next.alter(new Map(), false)
    expect(applied).toEqual([512, 256])
    expect((await open()).loaded).toEqual(given)
  })

  test('that cannot be stored are not in force', async () => {
    const applied: number[] = []
    const live = await LiveSettings.open(nodeFiles, join(directory, 'missing'), given, logger)
    live.onChange('disk.budget', () => () => applied.push(1))
    const altering = live.alter(new Map([['disk.budget', '512MiB']]), false)
    await expect(altering).rejects.toMatchObject({ kind: 'storageFull' })
    expect(applied).toEqual([])
    expect(live.loaded).toEqual(given)
  })

  test('outlive damage of one copy; of both, they are passed over and that is said', async () => {
    const live = await open()
    await live.alter(new Map([['disk.budget', '512MiB']]), false)
    const whole = await open()
    const content = readFileSync(path())
    const copyBytes = content.length / 2
    const textBytes = content.indexOf('\n\n')
    for (let byte = 0; byte < textBytes; byte++) {
      for (const copies of [[0], [copyBytes], [0, copyBytes]]) {
        const damaged = Buffer.from(content)
        for (const copy of copies) damaged[copy + byte]! ^= 1
        writeFileSync(path(), damaged)
        lines.length = 0
        expect((await open()).loaded).toEqual(copies.length === 1 ? whole.loaded : given)
        expect(lines).toHaveLength(copies.length - 1)
      }
    }
  })

  test('can be changed on a full file system, where the file is already', async () => {
    await open()
    const full = {
      ...nodeFiles,
      replaceSmall: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })),
    }
    const live = await LiveSettings.open(full, directory, given, logger)
    live.onChange('disk.budget', () => () => undefined)
    await live.alter(new Map([['disk.budget', '128MiB']]), false)
    expect((await open()).loaded.settings['disk.budget']).toEqual({ bytes: 128 * MiB })
  })

  test('are judged by their type first', () => {
    expect(liveSettingText('disk.budget', '536870912')).toBe('512MiB')
    expect(() => liveSettingText('disk.budget', '1MiB')).toThrow(/disk\.budget: .*64MiB/)
  })
})
