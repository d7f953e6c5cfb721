import { expect, it } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import { formatSettingsFile } from '../../../src/config/shown-settings.ts'

const load = (uplink: string) => {
  const text = `uplink:\n  bootstrap.servers: central:9092\n${uplink.replaceAll(/^/gm, '  ')}`
  const machine = { environment: {}, flags: new Map(), set: [], memoryBytes: 2 ** 32, diskBytes: () => 2 ** 35 }
  return loadSettings({ ...machine, file: { path: 'f.yaml', text } })
}

const problemsOf = (uplink: string): string[] => {
  try {
    load(uplink)
    return []
  } catch (error) {
    return (error as Error).message
      .split('\n')
      .slice(1)
      .map(line => line.trim())
  }
}

const schedule = `rate.max: 64KiB
rate.max.bulk: 2KiB
rules:
  - { topics: [alarms, "alerts.*"], priority: high, thin: 10, thin.lag: 500 }
  - { topics: logs, priority: low, order: newest-first, ttl: 6h }
metered:
  - { from: 08:00, to: 18:00, days: mon-fri, rate: 10KiB, classes: [critical, normal] }
  - { from: "22:30", to: "6:00", days: "sat,sun", rate: 0 }
  - { from: 00:00, to: 24:00, days: sun-mon, classes: critical }
`

it('is written as people would, and printed so that it loads back', () => {
  const loaded = load(schedule)
  const { settings } = loaded
  expect(settings['uplink.rules']).toEqual([
    {
      topics: ['alarms', 'alerts.*'],
      priority: 'high',
      order: 'oldest-first',
      ttlMs: Number.POSITIVE_INFINITY,
      thin: { oneOf: 10, lag: 500 },
    },
    { topics: ['logs'], priority: 'low', order: 'newest-first', ttlMs: 6 * 3_600_000 },
  ])
  expect(settings['uplink.metered']).toEqual([
    {
      fromMinute: 480,
      toMinute: 1080,
      days: ['mon', 'tue', 'wed', 'thu', 'fri'],
      rate: 10_240,
      classes: ['normal', 'critical'],
    },
    { fromMinute: 1350, toMinute: 360, days: ['sat', 'sun'], rate: 0, classes: ['bulk', 'normal', 'critical'] },
    { fromMinute: 0, toMinute: 1440, days: ['mon', 'sun'], rate: Number.POSITIVE_INFINITY, classes: ['critical'] },
  ])
  const printed = loadSettings({
    environment: {},
    flags: new Map(),
    set: [],
    memoryBytes: 2 ** 32,
    diskBytes: () => 2 ** 35,
    file: { path: 'f.yaml', text: formatSettingsFile(loaded) },
  })
  expect(printed.settings).toEqual(settings)
})

it('says what is wrong, and where', () => {
  expect(
    problemsOf(`rate.max: 64
rules: [{ topic: a }, { topics: [], priority: 1 }, { topics: "a/b", ttl: 5 }, { topics: a, thin: 1, thin.lag: 5 }, { topics: a, thin.lag: 5 }, { topics: a, thin: 2, order: newest-first }]
metered:
  - { from: 8, to: "25:00", days: someday, rate: fast, classes: all }
  - { from: 08:00, to: 18:00 }
  - { from: 08:00, to: 08:00, rate: 1KiB, classes: [] }
`),
  ).toMatchInlineSnapshot(`
    [
      "uplink.rate.max (f.yaml:3): "64" is too small, at least 100 is needed; nearest: 100",
      "uplink.rules[0] (f.yaml:4): there is no key "topic" here; nearest: topics",
      "uplink.rules[0].topics (f.yaml:4): is missing",
      "uplink.rules[1].topics (f.yaml:4): is empty",
      "uplink.rules[1].priority (f.yaml:4): "1" is not one of high, normal, low; nearest: high",
      "uplink.rules[2].topics (f.yaml:4): "a/b" is not a topic name; \`*\` stands for any characters",
      "uplink.rules[2].ttl (f.yaml:4): "5" is too small, at least 1m is needed; nearest: 1m",
      "uplink.rules[3].thin (f.yaml:4): "1" is too small, at least 2 is needed; nearest: 2",
      "uplink.rules[4].thin.lag (f.yaml:4): has no meaning without thin",
      "uplink.rules[5].thin (f.yaml:4): goes with order: oldest-first only; nearest: oldest-first",
      "uplink.metered[0].from (f.yaml:5): "8" is not a time of the day, such as 18:30",
      "uplink.metered[0].to (f.yaml:5): "25:00" is not a time of the day, such as 18:30",
      "uplink.metered[0].days (f.yaml:5): "someday" is not a day or a span of days; nearest: mon-fri",
      "uplink.metered[0].rate (f.yaml:5): "fast" is not bytes, such as 512MiB, 10k or 1048576",
      "uplink.metered[0].classes (f.yaml:5): "all" is not one of bulk, normal, critical; nearest: bulk",
      "uplink.metered[1] (f.yaml:5): the window changes nothing: give it a rate, or the classes that may use it",
      "uplink.metered[2].classes (f.yaml:5): is empty; where nothing is to go up, say rate: 0",
      "uplink.metered[2].to (f.yaml:5): is where the window begins; nearest: 24:00",
    ]
  `)
})

it('is nothing without a central cluster', () => {
  const machine = { environment: {}, flags: new Map(), memoryBytes: 2 ** 32, diskBytes: () => 2 ** 35 }
  expect(() => loadSettings({ ...machine, set: ['uplink.rate.max=1MiB'] })).toThrow(
    'uplink.rate.max (--set): has no effect without uplink.bootstrap.servers',
  )
})
