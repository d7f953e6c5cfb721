import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { environmentName, flagName, settingKeys } from '../../src/config/settings.ts'
import { runBrooklet } from '../support/gateway.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-settings-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const settingsFile = async (text: string) => {
  const path = join(directory, 'brooklet.yaml')
  await writeFile(path, text)
  return path
}

describe('bad settings end with exit code 64', () => {
  test('serve names every problem of every source at once, and starts nothing', async () => {
    const config = await settingsFile('gatway.id: x\nnum.partitions: 0\n')
    const { code, stdout, stderr } = await runBrooklet(
      [
        'serve',
        '--config',
        config,
        '--set',
        'data.dir=/dev/null/x',
        '--set',
        'mqtt.listen=mqttt://0.0.0.0',
        '--log-level',
        'loud',
      ],
      { environment: { [environmentName('gaps.max')]: 'many' } },
    )
    expect([code, stdout]).toEqual([64, ''])
    expect(
      stderr
        .trim()
        .split('\n')
        .map(line => line.trim().replace(directory, '')),
    ).toEqual([
      'brooklet: bad settings, 5 problems:',
      'gatway.id (/brooklet.yaml:1): there is no such setting; nearest: gateway.id',
      'num.partitions (/brooklet.yaml:2): "0" is too small, at least 1 is needed; nearest: 1',
      'gaps.max (BROOKLET_GAPS_MAX): "many" is not a whole number; nearest: 1000',
      'log.level (--log-level): "loud" is not one of debug, info, warn, error; nearest: debug',
      'mqtt.listen (--set): "mqttt://0.0.0.0": mqttt is not a protocol of this setting; nearest: mqtt://0.0.0.0',
    ])
  })

  test('a settings file that is not there', async () => {
    const { code, stderr } = await runBrooklet(['serve', '--config', join(directory, 'none.yaml')])
    expect([code, stderr.split('\n').length]).toEqual([64, 2])
    expect(stderr).toContain('name another with --config, or leave it out')
  })

  test('a flag that does not exist', async () => {
    const { code, stderr } = await runBrooklet(['serve', '--num-partition', '3'])
    expect(code).toBe(64)
    expect(stderr).toContain('Did you mean --num-partitions?')
  })
})

describe('brooklet config', () => {
  test('check says that good settings are good', async () => {
    const config = await settingsFile('gateway.id: x\nmqtt: { listen: [127.0.0.1:1] }\n')
    const { code, stdout, stderr } = await runBrooklet(['config', 'check', '--config', config, '--num-partitions', '3'])
    expect([code, stdout, stderr]).toEqual([0, 'settings are good: 3 set, all others have their defaults\n', ''])
  })

  test('print shows a file that loads back, and says where values come from', async () => {
    const { stdout } = await runBrooklet(['config', 'print', '--num-partitions', '3'])
    expect(stdout).toContain('num.partitions: 3   # from the flag\n')
    const again = await runBrooklet(['config', 'check', '--config', await settingsFile(stdout)])
    expect([again.code, again.stderr]).toEqual([0, ''])
  })

  test('help of serve lists a flag for every setting', async () => {
    const { stdout } = await runBrooklet(['serve', '--help'])
    expect(settingKeys.filter(key => !stdout.includes(`${flagName(key)} <`))).toEqual([])
  })
})

test('version names what a report needs', async () => {
  const { code, stdout } = await runBrooklet(['version', '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ brooklet: expect.stringMatching(/^\d+\.\d+\.\d+/), node: process.version })
})
