import { describe, expect, test } from 'vitest'
import { checkReading, decodePayload, encodePayload, payloadSchema, profiles } from '../../../devices/index.ts'
import type { DeviceProfile, Reading } from '../../../devices/profile.ts'
import { Random } from '../../../firmware-sim/random.ts'
import { readingsOf } from '../../../firmware-sim/readings.ts'

const startMs = Date.UTC(2025, 5, 1)

const readings = (profile: DeviceProfile, count: number): Reading[] => {
  const next = readingsOf({ profile, random: new Random(5), startMs, readingsPerSecond: 1 })
  return Array.from({ length: count }, next)
}

describe.each(profiles.map(profile => [profile.name, profile] as const))('profile %s', (_name, profile) => {
  test.each(['cbor', 'json'] as const)('readings survive %s and its own check', encoding => {
    for (const reading of readings(profile, 300)) {
      const decoded = decodePayload(profile, encodePayload(profile, reading, encoding))
      expect(decoded).toEqual({ ok: true, encoding, reading })
    }
  })

  test('topic and route name the same levels, and the route is usable', () => {
    const names = [...profile.route.mqtt.matchAll(/\{(\w+)\}/g)].map(match => match[1])
    for (const template of [profile.route.key, ...Object.values(profile.route.headers)]) {
      for (const [, name] of template.matchAll(/\{(\w+)\}/g)) expect(names).toContain(name)
    }
    expect(profile.mqttTopic.split('/').length).toBe(profile.route.mqtt.split('/').length)
    expect(profile.mqttTopic).toContain('{device}')
    expect(profile.route.topic).toMatch(/^[a-zA-Z0-9._-]{1,249}$/)
  })

  test('the sensors are complete', () => {
    expect(new Set(profile.sensors.map(sensor => sensor.id)).size).toBe(profile.sensors.length)
    for (const { kind, range, resolution, samples } of profile.sensors) {
      if (kind === 'boolean') continue
      expect(range![0]).toBeLessThan(range![1])
      expect(resolution).toBeGreaterThan(0)
      expect(samples !== undefined).toBe(kind === 'samples')
    }
    expect(profile.sampling.jitterRatio).toBeLessThan(0.5)
  })

  test('the payload limit leaves room for the longest reading', () => {
    const longest = Math.max(...readings(profile, 300).map(reading => encodePayload(profile, reading, 'json').length))
    expect(longest).toBeLessThan(profile.maxPayloadBytes)
  })

  test('the schema asks for what the payload carries', () => {
    const { seq, ts, values } = readings(profile, 1)[0]!
    expect(payloadSchema(profile).required).toEqual(Object.keys({ seq, ts, ...values }))
    expect(Object.keys(payloadSchema(profile).properties)).toEqual(payloadSchema(profile).required)
  })

  test('each value out of its range, each missing value and each stranger is a problem', () => {
    const reading = readings(profile, 1)[0]!
    for (const { id, kind, range, samples } of profile.sensors) {
      const beyond = range === undefined ? 'yes' : kind === 'samples' ? Array(samples).fill(range[1] + 1) : range[1] + 1
      for (const value of [beyond, undefined, 'text', Number.NaN]) {
        const problems = checkReading(profile, { ...reading, values: { ...reading.values, [id]: value } })
        expect(problems).toHaveLength(1)
        expect(problems[0]).toContain(id)
      }
    }
    expect(checkReading(profile, { ...reading, values: { ...reading.values, extra: 1 } })).toHaveLength(1)
    for (const seq of [0, -1, 1.5, 2 ** 32, '1']) expect(checkReading(profile, { ...reading, seq })).toHaveLength(1)
    for (const ts of [-1, 0.5, 1e15, null]) expect(checkReading(profile, { ...reading, ts })).toHaveLength(1)
  })

  test('arbitrary and damaged bytes are refused or decoded, never thrown at', () => {
    const random = new Random(11)
    const whole = encodePayload(profile, readings(profile, 1)[0]!, 'cbor')
    for (let round = 0; round < 2_000; round++) {
      const bytes = random.chance(0.5) ? Buffer.from(whole) : Buffer.alloc(Math.floor(random.between(0, 64)))
      const changes = random.between(1, bytes.length)
      for (let index = 0; index < changes; index++) {
        bytes[Math.floor(random.between(0, bytes.length))] = Math.floor(random.between(0, 256))
      }
      const decoded = decodePayload(profile, bytes.subarray(0, Math.floor(random.between(0, bytes.length + 1))))
      if (decoded.ok) expect(checkReading(profile, decoded.reading)).toEqual([])
      else expect(decoded.problems.length).toBeGreaterThan(0)
    }
  })
})
