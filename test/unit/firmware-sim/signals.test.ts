import { describe, expect, test } from 'vitest'
import { env } from '../../../devices/env.ts'
import { profileNamed, profiles } from '../../../devices/index.ts'
import type { DeviceProfile, Reading } from '../../../devices/profile.ts'
import { Random } from '../../../firmware-sim/random.ts'
import { readingsOf } from '../../../firmware-sim/readings.ts'
import { analog, correlatedNoise, diurnal, dropout, quantised } from '../../../firmware-sim/signals.ts'

const startMs = Date.UTC(2025, 5, 1)
const hourMs = 3_600_000

const readings = (profile: DeviceProfile, seed: number, count: number, readingsPerSecond = 1): Reading[] => {
  const next = readingsOf({ profile, random: new Random(seed).split(1), startMs, readingsPerSecond })
  return Array.from({ length: count }, next)
}

const column = (rows: readonly Reading[], id: string): number[] =>
  rows.map(row => row.values[id]).filter(value => typeof value === 'number')

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const correlation = (values: readonly number[], lag: number): number => {
  const average = mean(values)
  const deviations = values.map(value => value - average)
  const products = deviations.slice(lag).map((value, index) => value * deviations[index]!)
  return mean(products) / mean(deviations.map(value => value * value))
}

describe('random', () => {
  test('a split stream does not depend on what its parent or siblings have drawn', () => {
    const fresh = new Random(7).split('env').split(3)
    const parent = new Random(7)
    parent.next()
    const sibling = parent.split('env')
    sibling.split(2).next()
    sibling.next()
    const later = sibling.split(3)
    expect(Array.from({ length: 10 }, () => later.next())).toEqual(Array.from({ length: 10 }, () => fresh.next()))
  })

  test('neighbouring seeds and labels give unlike streams, all uniform', () => {
    const firsts = new Set<number>()
    for (let seed = 0; seed < 1_000; seed++) firsts.add(new Random(seed).next()).add(new Random(1).split(seed).next())
    expect(firsts.size).toBe(2_000)
    const drawn = Array.from({ length: 2_000 }, (_, index) => new Random(1).split(index).next())
    expect(mean(drawn)).toBeCloseTo(0.5, 1)
    const decile = drawn.filter(value => value < 0.1).length
    expect(decile).toBeGreaterThan(140)
    expect(decile).toBeLessThan(260)
  })

  test('normal and exponential have their moments', () => {
    const random = new Random(2)
    const normals = Array.from({ length: 20_000 }, () => random.normal())
    expect(mean(normals)).toBeCloseTo(0, 1)
    expect(mean(normals.map(value => value * value))).toBeCloseTo(1, 1)
    expect(mean(Array.from({ length: 20_000 }, () => random.exponential(5))) / 5).toBeCloseTo(1, 1)
  })
})

describe('signals', () => {
  test('the day peaks at its hour', () => {
    const course = { mean: 20, meanDeviation: 0, dailyAmplitude: 5, peakHour: 15 }
    const signal = diurnal(course, new Random(1))
    expect(signal(startMs + 3 * hourMs)).toBeCloseTo(15)
    expect(signal(startMs + 15 * hourMs)).toBeCloseTo(25)
    expect(signal(startMs + 39 * hourMs)).toBeCloseTo(25)
  })

  test('noise has its deviation at any sampling rate, and remembers for its correlation time', () => {
    for (const stepMs of [100, 1_000, 20_000]) {
      const noise = correlatedNoise(2, 10_000, new Random(3))
      const values = Array.from({ length: 60_000 }, (_, index) => noise(index * stepMs))
      const deviation = Math.sqrt(mean(values.map(value => value * value)))
      expect(deviation).toBeGreaterThan(1.7)
      expect(deviation).toBeLessThan(2.3)
      const expected = Math.exp(-stepMs / 10_000)
      expect(Math.abs(correlation(values, 1) - expected)).toBeLessThan(0.03)
    }
  })

  test('white noise does not remember', () => {
    const noise = correlatedNoise(2, 0, new Random(3))
    const values = Array.from({ length: 20_000 }, (_, index) => noise(index))
    expect(Math.abs(correlation(values, 1))).toBeLessThan(0.03)
  })

  test('dropouts begin as often and last as long as they should', () => {
    const isSilent = dropout(0.01, 5, new Random(4))
    const silent = Array.from({ length: 100_000 }, isSilent)
    const begins = silent.filter((now, index) => now && !silent[index - 1]).length
    const share = silent.filter(Boolean).length
    expect(begins).toBeGreaterThan(800)
    expect(begins).toBeLessThan(1_150)
    expect(share / begins).toBeGreaterThan(4.3)
    expect(share / begins).toBeLessThan(5.7)
  })

  test('a spiky sensor spikes and a silent one is null, within range', () => {
    const sensor = { ...env.sensors[0]!, noise: { deviation: 0.1, correlationMs: 0, spikeRatio: 0.05, spikeSize: 500 } }
    const signal = analog(sensor, new Random(6))
    const values = Array.from({ length: 1_000 }, (_, index) => signal(startMs + index * 1_000))
    expect(values.filter(value => value === 85 || value === -40).length).toBeGreaterThan(20)
    const silent = analog(
      { ...sensor, noise: { ...sensor.noise, dropoutRatio: 1, dropoutMeanReadings: 2 } },
      new Random(6),
    )
    expect(silent(startMs)).toBeNull()
  })

  test('values are rounded to the resolution without binary dust, and clamped', () => {
    const sensor = env.sensors[0]!
    expect(quantised(sensor, 21.23456)).toBe(21.23)
    expect(quantised(sensor, 0.1 + 0.2)).toBe(0.3)
    expect(quantised(sensor, 900)).toBe(85)
    expect(Object.is(quantised(sensor, -0.001), 0)).toBe(true)
    expect(quantised({ ...sensor, resolution: 0.000001 }, 52.1234567)).toBe(52.123457)
  })
})

describe.each(profiles.map(profile => [profile.name, profile] as const))('readings of %s', (_name, profile) => {
  test('same seed, start and rate: same readings; another seed: others', () => {
    expect(readings(profile, 7, 50)).toEqual(readings(profile, 7, 50))
    expect(readings(profile, 7, 50)).not.toEqual(readings(profile, 8, 50))
  })

  test('sequence numbers have no gap and device time does not go back', () => {
    const rows = readings(profile, 9, 500)
    expect(rows.map(row => row.seq)).toEqual(rows.map((_, index) => index + 1))
    for (const [index, row] of rows.entries()) expect(row.ts).toBeGreaterThanOrEqual(rows[index - 1]?.ts ?? startMs)
  })

  test('the mean rate is the rate asked for', () => {
    const rows = readings(profile, 10, 3_000, 4)
    const seconds = (rows.at(-1)!.ts - rows[0]!.ts) / 1000
    expect(Math.abs(2_999 / seconds / 4 - 1)).toBeLessThan(0.06)
  })

  test('counters never fall, and rise', () => {
    const rows = readings(profile, 11, 2_000)
    for (const sensor of profile.sensors.filter(each => each.monotonic)) {
      const values = column(rows, sensor.id)
      expect(values).toHaveLength(rows.length)
      for (const [index, value] of values.entries()) expect(value).toBeGreaterThanOrEqual(values[index - 1] ?? 0)
      expect(values.at(-1)!).toBeGreaterThan(values[0]!)
    }
  })
})

describe('models', () => {
  test('the energy counter is the sum of the power', () => {
    const rows = readings(profileNamed('power')!, 12, 7_200)
    const energy = column(rows, 'energy')
    const hours = (rows.at(-1)!.ts - rows[0]!.ts) / hourMs
    const expected = mean(column(rows, 'activePower')) * hours
    expect(Math.abs(energy.at(-1)! - energy[0]! - expected)).toBeLessThan(expected * 0.02 + 2)
  })

  test('the door alternates and counts its openings', () => {
    const rows = readings(profileNamed('door')!, 13, 20)
    expect(rows.map(row => row.values['open'])).toEqual(rows.map((_, index) => index % 2 === 0))
    expect(column(rows, 'openings').at(-1)! - column(rows, 'openings')[0]!).toBe(9)
  })

  test('the tracker moves no faster than it says, and is null without a fix', () => {
    const rows = readings(profileNamed('gps')!, 14, 5_000)
    const noFix = rows.filter(row => row.values['fix'] === 0)
    expect(noFix.length).toBeGreaterThan(0)
    for (const { values } of noFix) expect([values['lat'], values['speed']]).toEqual([null, null])
    const steps = column(rows, 'lat').map((lat, index, all) => Math.abs(lat - (all[index - 1] ?? lat)) * 111_320)
    const fixGapSeconds = noFix.length
    expect(Math.max(...steps)).toBeLessThan(60 * fixGapSeconds)
    expect(mean(steps)).toBeGreaterThan(1)
    expect(mean(steps)).toBeLessThan(30)
  })

  test('the level of a burst is the root mean square of its samples', () => {
    for (const { values } of readings(profileNamed('vibration')!, 15, 20)) {
      const samples = values['acceleration'] as number[]
      expect(values['level']).toBeCloseTo(Math.sqrt(mean(samples.map(sample => sample * sample))), 0)
    }
  })
})
