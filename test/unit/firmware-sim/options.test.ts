import { describe, expect, test } from 'vitest'
import { readOptions, type SimOptions } from '../../../firmware-sim/options.ts'

const defaults: SimOptions = {
  url: 'mqtt://127.0.0.1:1883',
  profile: 'env',
  count: '10',
  seed: '1',
  scenario: 'steady',
  site: 'lab',
  connectRate: '500',
}

const fleetOf = (options: Partial<SimOptions>) => {
  const read = readOptions({ ...defaults, ...options })
  if ('problems' in read) throw new Error(read.problems.join('\n'))
  return read.fleet
}

const problemsOf = (options: Partial<SimOptions>) => {
  const read = readOptions({ ...defaults, ...options })
  return 'problems' in read ? read.problems : []
}

describe('sim options', () => {
  test('everything given', () => {
    const fleet = fleetOf({
      mix: 'env=10,power=5',
      rate: '2',
      seed: '7',
      duration: '1.5m',
      qos: '2',
      encoding: 'json',
      scenario: 'flaky',
      drop: ['10s@30s', '500ms@1m'],
      loss: '5%',
      latency: '100ms',
      start: '2025-06-01T00:00:00Z',
    })
    expect(fleet.members.map(({ profile, count }) => [profile.name, count])).toEqual([
      ['env', 10],
      ['power', 5],
    ])
    expect(fleet).toMatchObject({ readingsPerSecond: 2, seed: 7, durationMs: 90_000, qos: 2, encoding: 'json' })
    expect(fleet.startMs).toBe(Date.UTC(2025, 5, 1))
    expect(fleet.scenario).toMatchObject({
      conditions: { lossRatio: 0.05, latencyMs: 100 },
      faults: [
        { kind: 'drop', startMs: 30_000, durationMs: 10_000 },
        { kind: 'drop', startMs: 60_000, durationMs: 500 },
      ],
      flaps: { meanUpMs: 60_000 },
    })
  })

  test.each([
    [
      { url: 'http://x' },
      '--url http://x: is not an mqtt:// or mqtts:// address; nearest valid: mqtt://127.0.0.1:1883',
    ],
    [{ count: '0' }, '--count 0: is not a whole number from 1 to 20000; nearest valid: 1'],
    [{ rate: '-3' }, '--rate -3: is not a number from 0.0001 to 1000; nearest valid: 0.0001'],
    [{ qos: '3' }, '--qos 3: is not 0, 1 or 2; nearest valid: 2'],
    [{ encoding: 'jsn' }, '--encoding jsn: is not one of cbor, json; nearest valid: json'],
    [{ duration: '60' }, '--duration 60: is not a duration with its unit (ms, s, m, h); nearest valid: 60s'],
    [{ drop: ['10s'] }, '--drop 10s: is not DURATION@START of a drop; nearest valid: 10s@30s'],
    [{ loss: '2.5' }, '--loss 2.5: is not a share from 0% to 100%; nearest valid: 2.5%'],
    [{ mix: 'env=10,pwer=5' }, '--mix pwer=5: is not PROFILE=COUNT; nearest valid: power=5'],
    [{ site: 'a/b' }, '--site a/b: is not one level of an MQTT topic; nearest valid: a-b'],
    [{ scenario: 'strom' }, /^--scenario strom: is not a scenario \(.*\); nearest valid: storm$/],
    [{ profile: 'gsp' }, /^--profile gsp: is not a device profile \(.*\); nearest valid: gps$/],
  ] as const)('%o is one line with the nearest valid', (options, line) => {
    const problems = problemsOf(options)
    expect(problems).toHaveLength(1)
    if (typeof line === 'string') expect(problems[0]).toBe(line)
    else expect(problems[0]).toMatch(line)
  })

  test('all problems at once', () => {
    expect(problemsOf({ qos: '9', rate: 'x', loss: 'much', count: 'many' })).toHaveLength(4)
  })

  test('every suggestion is itself valid', () => {
    const bad: Partial<SimOptions>[] = ['', 'x', '-1', '99999999999', '1e400', 'NaN', '3%%', '@', '=='].flatMap(
      text => [
        { count: text },
        { rate: text },
        { seed: text },
        { qos: text },
        { loss: text },
        { latency: text },
        { duration: text },
        { encoding: text },
        { scenario: text },
        { profile: text },
        { site: text },
        { mix: text },
      ],
    )
    for (const options of bad) {
      for (const problem of problemsOf(options)) {
        const [, name, nearest] = /^--(\S+) .*nearest valid: (.*)$/.exec(problem) ?? []
        expect(problemsOf({ [name!]: nearest }), problem).toEqual([])
      }
    }
  })

  test('a fleet over the limit is refused', () => {
    expect(problemsOf({ mix: 'env=15000,power=15000' })).toEqual([
      '--mix 30000: is over the limit; nearest valid: 20000',
    ])
  })
})
