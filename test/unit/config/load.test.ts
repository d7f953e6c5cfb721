import { describe, expect, test } from 'vitest'
import { loadSettings, type SettingsInput } from '../../../src/config/load.ts'
import { GiB, MiB } from '../../../src/config/quantities.ts'
import {
  environmentName,
  flagName,
  type SettingKey,
  settingKeys,
  settingRow,
  settingsOf,
} from '../../../src/config/settings.ts'
import { formatSettingsFile, shownSettings } from '../../../src/config/shown-settings.ts'
import { StartError } from '../../../src/core/errors.ts'

const load = (changes: Partial<SettingsInput> & { yaml?: string } = {}) => {
  const { yaml, ...rest } = changes
  const file = yaml === undefined ? {} : { file: { path: 'brooklet.yaml', text: yaml } }
  return loadSettings({
    environment: {},
    flags: new Map(),
    set: [],
    memoryBytes: 4 * GiB,
    diskBytes: () => 32 * GiB,
    ...file,
    ...rest,
  })
}

/** The lines of the error, without the title. */
const problemsOf = (changes: Parameters<typeof load>[0]): string[] => {
  try {
    load(changes)
  } catch (error) {
    expect(error).toBeInstanceOf(StartError)
    expect((error as StartError).exitCode).toBe(64)
    return (error as StartError).message
      .split('\n')
      .slice(1)
      .map(line => line.trim())
  }
  return []
}

describe('sources', () => {
  test('defaults alone are good', () => {
    const { settings, origins } = load()
    expect(settings['num.partitions']).toBe(4)
    expect(settings['mqtt.listen']).toEqual([{ scheme: 'mqtt', host: '127.0.0.1', port: 1883 }])
    expect(new Set(origins.values())).toEqual(new Set(['default']))
  })

  test('every default is a value that its own type accepts, but for budgets that the machine settles', () => {
    for (const key of settingKeys) {
      const { type, fallback } = settingRow(key)
      if (key === 'disk.budget' || key === 'memory.budget') continue
      expect([key, type.parse(type.formatPlain(fallback))]).toEqual([key, { value: fallback }])
      expect([key, type.parse(type.format(fallback))]).toEqual([key, { value: fallback }])
    }
  })

  test('file < environment < flag < --set, each with its origin', () => {
    const yaml = 'num.partitions: 1\nretention.ms: 1d\nlog.level: debug\ngaps.max: 7'
    const environment = {
      BROOKLET_NUM_PARTITIONS: '2',
      BROOKLET_RETENTION_MS: '2d',
      BROOKLET_LOG_LEVEL: 'warn',
      PATH: '/bin',
    }
    const flags = new Map<SettingKey, string>([
      ['num.partitions', '3'],
      ['retention.ms', '3d'],
    ])
    const { settings, origins } = load({ yaml, environment, flags, set: ['num.partitions=5'] })
    expect(settings).toMatchObject({
      'num.partitions': 5,
      'retention.ms': 259_200_000,
      'log.level': 'warn',
      'gaps.max': 7,
    })
    expect(
      ['num.partitions', 'retention.ms', 'log.level', 'gaps.max'].map(key => origins.get(key as SettingKey)),
    ).toEqual(['flag', 'flag', 'environment', 'file'])
  })

  test('keys may be dotted, nested or mixed', () => {
    const nested = load({ yaml: 'commit:\n  linger: { ms: 6 }\n  linger.max.ms: 2s' }).settings
    expect([nested['commit.linger.ms'], nested['commit.linger.max.ms']]).toEqual([6, 2000])
  })

  test('lists are YAML lists or texts with commas; empty is off', () => {
    const list = load({ yaml: 'mqtt: { listen: ["mqtt://127.0.0.1:1", ws://127.0.0.1:2] }' }).settings['mqtt.listen']
    expect(load({ set: ['mqtt.listen=127.0.0.1:1, ws://127.0.0.1:2'] }).settings['mqtt.listen']).toEqual(list)
    expect(load({ environment: { BROOKLET_HTTP_LISTEN: '' }, yaml: 'mqtt.listen: []' }).settings).toMatchObject({
      'http.listen': [],
      'mqtt.listen': [],
    })
  })

  test('numbers of YAML are taken as written', () => {
    expect(load({ yaml: 'num.partitions: 010' }).settings['num.partitions']).toBe(10)
    expect(problemsOf({ yaml: 'num.partitions: 0x10' })).toHaveLength(1)
  })

  test('flags and variables follow from the key and do not collide', () => {
    expect([flagName('disk.budget'), environmentName('disk.budget')]).toEqual(['--disk-budget', 'BROOKLET_DISK_BUDGET'])
    expect(new Set(settingKeys.map(flagName)).size).toBe(settingKeys.length)
  })
})

describe('problems', () => {
  test('all at once, each with place, reason and the nearest valid value or key', () => {
    const problems = problemsOf({
      yaml: 'gatway.id: x\nnum:\n  partitions: 0\nlog.level: debgu',
      environment: { BROOKLET_NUM_PARTITION: '1', BROOKLET_LOG_FORMAT: 'xml' },
      flags: new Map([['retention.ms', '7 days']]),
      set: ['x'],
    })
    expect(problems).toEqual([
      'x (--set): key=value is expected',
      'gatway.id (brooklet.yaml:1): there is no such setting; nearest: gateway.id',
      'num.partitions (brooklet.yaml:3): "0" is too small, at least 1 is needed; nearest: 1',
      'log.level (brooklet.yaml:4): "debgu" is not one of debug, info, warn, error; nearest: debug',
      'BROOKLET_NUM_PARTITION: there is no such setting; nearest: BROOKLET_NUM_PARTITIONS',
      'log.format (BROOKLET_LOG_FORMAT): "xml" is not one of auto, json, pretty; nearest: auto',
      'retention.ms (--retention-ms): "7 days" is not a time, such as 7d, 5s, 100ms or 100 (milliseconds); nearest: 7d',
    ])
  })

  test.each([
    ['a: [b', 'not valid YAML'],
    ['just text', 'a map of settings is expected'],
    ['num.partitions: 1\nnum: { partitions: 2 }', 'is given twice'],
    ['num.partitions: 1\nnum.partitions: 2', 'not valid YAML: Map keys must be unique'],
    ['http.listen:', 'has no value'],
    ['num.partitions: [1]', 'takes one value, not a list or a map'],
    ['uplink: { bootstrap.servers: k1 }', '"k1" is not HOST:PORT'],
    [
      'uplink: { topics: [sensors] }',
      'uplink.topics (brooklet.yaml:1): has no effect without uplink.bootstrap.servers',
    ],
    ['remote.read: true', 'remote.read (brooklet.yaml:1): has no effect without uplink.bootstrap.servers'],
    [
      'uplink: { bootstrap.servers: k1:9092, headers: gateway }\nremote.read: true',
      'uplink.headers (brooklet.yaml:1): must be full for remote.read',
    ],
    ['uplink: { bootstrap.servers: k1:9092, rename: central }', 'gives several topics one name'],
    ['uplink: { bootstrap.servers: k1:9092, rename: "a b" }', 'does not make topic names'],
    ['uplink: { bootstrap.servers: k1:9092, topics: [] }', 'uplink.topics (brooklet.yaml:1): is empty'],
    [
      'uplink: { bootstrap.servers: k1:9092, headers: gateway, rename: "{gateway}.{topic}" }',
      'gateway says again what uplink.rename says',
    ],
    [
      'uplink: { bootstrap.servers: k1:9092, request.timeout.ms: 60s }',
      'uplink.request.timeout.ms (brooklet.yaml:1): is above uplink.transaction.timeout.ms',
    ],
  ])('file %j: %s', (yaml, reason) => {
    expect(problemsOf({ yaml })[0]).toContain(reason)
  })

  test('an alias bomb is a problem, not a crash', () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) => `a${level + 1}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(', ')}]`,
    )
    expect(() => load({ yaml: ['a0: &a0 [x, x]', ...levels].join('\n') })).toThrow(StartError)
  })

  test.each([
    [
      ['mqtt.listen=mqtt://0.0.0.0:1883'],
      'set insecure.listeners=true (--insecure-listeners); nearest: mqtt://127.0.0.1:1883',
    ],
    [['kafka.listen=192.168.0.7'], 'can be reached from other machines without authentication'],
    [['http.listen=[::]:80'], 'can be reached from other machines'],
    [['mqtt.listen=mqtts://127.0.0.1'], 'tls.cert (default): is missing: mqtts://127.0.0.1:8883 speaks TLS'],
    [['http.listen=https://127.0.0.1:1', 'tls.cert=a'], 'tls.key (default): is missing'],
    [['kafka.listen=ssl://127.0.0.1', 'tls.client.auth=requested'], 'needs CAs to check certificates against'],
    [['mqtt.listen=mqtts://0.0.0.0', 'tls.client.auth=requested'], 'mqtts://0.0.0.0:8883 can be reached'],
    [['mqtt.listen=unix://run/x'], 'is not unix:///PATH; nearest: unix:///run/x'],
    [[`mqtt.listen=unix:///${'x'.repeat(107)}`], 'have at most 107 bytes'],
    [['kafka.listen=unix:///run/x'], 'unix is not a protocol of this setting'],
    [['mqtt.listen=unix:///run/x,unix:///run/x'], 'is the address of mqtt.listen too'],
    [['kafka.listen=sasl_ssl://127.0.0.1:1'], 'SASL authentication is not in this version'],
    [['listeners={ mqtts://127.0.0.1:8883: {} }'], 'mqtts://127.0.0.1:8883 is in none of mqtt.listen'],
    [['listeners={ mqtt://127.0.0.1:1883: { proxy.protcol: v2 } }'], 'listeners[mqtt://127.0.0.1:1883].proxy.protcol'],
    [
      ['listeners={ mqtt://127.0.0.1:1883: { proxy.protcol: v2 } }'],
      'is no setting of a listener; nearest: proxy.protocol',
    ],
    [['listeners={ mqtt://127.0.0.1:1883: { proxy.protocol: v1 } }'], '"v1" is not one of none, v2; nearest: v2'],
    [['listeners={ mqtt://127.0.0.1:1883: { tls: { cert: x } } }'], 'tls.cert (--set): has no meaning for mqtt'],
    [['listeners={ http://127.0.0.1:8190: { proxy.protocol: v2 } }'], 'has no meaning for http'],
    [['listeners={ plaintext://127.0.0.1:9092: { mqtt.connections.max: 1 } }'], 'has no meaning for plaintext'],
    [['listeners={ mqtt://127.0.0.1:1883: { mqtt.max.packet.bytes: 2MiB } }'], 'is above that for all (1MiB)'],
    [['listeners=[]'], 'a map of URLs is expected'],
    [['listeners={ mqtt://127.0.0.1: 1, mqtt://127.0.0.1:1883: {} }'], 'stands there twice'],
    [['mqtt.listen=mqt://127.0.0.1:1'], 'nearest: mqtt://127.0.0.1:1'],
    [['mqtt.listen=127.0.0.1:99999'], 'ports end at 65535'],
    [['http.listen=127.0.0.1:1883'], 'is the address of mqtt.listen too'],
    [['kafka.advertised=a:1,b:2'], 'give one for each'],
    [['commit.max.bytes=10MiB'], 'with this disk.budget a log slot is 16MiB); nearest: 4MiB'],
    [['max.message.bytes=9MiB'], 'nearest: 8MiB'],
    [['disk.budget=100MiB', 'mqtt.max.packet.bytes=4MiB'], 'more than half of a log slot'],
    [['disk.budget=0.1%'], 'at least 64MiB is needed'],
    [['disk.budget=64GiB'], 'is more than this file system has'],
    [['memory.budget=8GiB'], 'is more than the RAM has'],
    [['commit.linger.ms=2s'], 'is above commit.linger.max.ms'],
    [['group.min.session.timeout.ms=1h'], 'is above group.max.session.timeout.ms (30m)'],
  ])('%j: %s', (set, reason) => {
    expect(problemsOf({ set }).join('\n')).toContain(reason)
  })

  test('listeners open to others are possible when the user says so', () => {
    expect(load({ set: ['mqtt.listen=*:1883', 'insecure.listeners=true'] }).settings['mqtt.listen'][0]?.host).toBe(
      '0.0.0.0',
    )
    expect(load({ set: ['mqtt.listen=localhost:0,[::1]:0,127.1.2.3:0'] }).settings['mqtt.listen']).toHaveLength(3)
  })

  test('listeners that ask for certificates of a CA of the user may be open to others, and so may Unix sockets', () => {
    const tls = ['tls.cert=c', 'tls.key=k', 'tls.ca=ca', 'tls.client.auth=required']
    const { settings } = load({ set: ['mqtt.listen=mqtts://*,unix:///run/m.sock', ...tls] })
    expect(settings['mqtt.listen']).toEqual([
      { scheme: 'mqtts', host: '0.0.0.0', port: 8883 },
      { scheme: 'unix', host: '', port: 0, path: '/run/m.sock' },
    ])
    const plain = problemsOf({ set: ['mqtt.listen=mqtts://*,mqtt://*', ...tls] })
    expect(plain.join()).toContain('mqtt://0.0.0.0:1883 can be reached')
    const noCa = problemsOf({ set: ['mqtt.listen=mqtts://*', ...tls, 'tls.ca='] })
    expect(noCa.join()).toContain('tls.ca (--set): is missing')
  })
})

describe('listeners', () => {
  const yaml = `
    mqtt.listen: [mqtt://127.0.0.1:1883, mqtts://0.0.0.0:8883, mqtts://127.0.0.1:8884]
    tls: { cert: gw.pem, key: gw.key }
    mqtt.connections.max: 500
    listeners:
      mqtts://*:
        tls: { ca: ca.pem, client.auth: required }
        mqtt.connections.max: 100
      mqtts://127.0.0.1:8884: { tls.cert: local.pem, tls.key: local.key, proxy.protocol: v2 }`

  test('have what is given for them, and for the rest what is given for all', () => {
    const { settings } = load({ yaml })
    const shown = settings['mqtt.listen'].map(url => {
      const own = settingsOf(settings, url)
      return [
        own['tls.cert'],
        own['tls.ca'],
        own['tls.client.auth'],
        own['proxy.protocol'],
        own['mqtt.connections.max'],
      ]
    })
    expect(shown).toEqual([
      ['gw.pem', '', 'none', 'none', 500],
      ['gw.pem', 'ca.pem', 'required', 'none', 100],
      ['local.pem', '', 'none', 'v2', 500],
    ])
  })

  test('are judged by what holds for them', () => {
    expect(problemsOf({ yaml: yaml.replace('required', 'none') }).join()).toContain(
      'mqtts://0.0.0.0:8883 can be reached',
    )
    expect(problemsOf({ yaml: yaml.replace('ca: ca.pem, ', '') }).join()).toContain('needs CAs')
  })

  test('are shown so that they load back', () => {
    const loaded = load({ yaml })
    expect(load({ yaml: formatSettingsFile(loaded) }).settings).toEqual(loaded.settings)
  })
})

test('what config print shows loads back to the same settings', () => {
  const routes = [
    { mqtt: 'a/{b}/#', topic: '{b}', key: null },
    { mqtt: 'debug/#', store: false },
  ]
  const set = [
    `routes=${JSON.stringify(routes)}`,
    'disk.budget=30%',
    'gateway.id=x-1',
    'retention.ms=unlimited',
    'deliver=[{topic: c, mqtt: "d/{key}"}]',
  ]
  const loaded = load({ set })
  const again = load({ yaml: formatSettingsFile(loaded) })
  expect(again.settings).toEqual(loaded.settings)
  expect(shownSettings(loaded).find(setting => setting.key === 'retention.ms')).toEqual({
    key: 'retention.ms',
    value: '-1',
    origin: 'flag',
  })
})

test('budgets in percent of a machine that is not known are taken at their bound', () => {
  expect(load({ diskBytes: () => undefined }).settings['max.message.bytes']).toBe(MiB)
})
