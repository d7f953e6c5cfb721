import type { DeviceProfile, SensorValue } from '../devices/profile.ts'
import type { Random } from './random.ts'
import { analog, correlatedNoise, dropout, quantised } from './signals.ts'
import { sensorOf, type ValueSource } from './values.ts'

const homeLatitude = 52.2
const homeLongitude = 10.5
const metresPerDegree = 111_320
const roamingRadiusMetres = 15_000
const townMetres = 20_000

/** A vehicle that drives, stops and turns around its home, with metres of position noise and a fix that comes and goes. */
export const trackerValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const home = { north: random.normal() * townMetres, east: random.normal() * townMetres }
  const pace = correlatedNoise(6, 45_000, random.split('pace'))
  const turn = correlatedNoise(0.15, 8_000, random.split('turn'))
  const northError = correlatedNoise(2.5, 30_000, random.split('north'))
  const eastError = correlatedNoise(2.5, 30_000, random.split('east'))
  const hasNoFix = dropout(0.002, 15, random.split('fix'))
  const sky = random.split('sky')
  let north = 0
  let east = 0
  let heading = random.between(0, 2 * Math.PI)
  let beforeMs = Number.NaN
  return atMs => {
    const seconds = Number.isNaN(beforeMs) ? 0 : (atMs - beforeMs) / 1000
    beforeMs = atMs
    const speed = Math.max(0, 9 + pace(atMs))
    const isFarOut = Math.hypot(north, east) > roamingRadiusMetres
    heading = isFarOut ? Math.atan2(-east, -north) : heading + turn(atMs) * Math.min(seconds, 10)
    north += Math.cos(heading) * speed * seconds
    east += Math.sin(heading) * speed * seconds
    if (hasNoFix()) return noFix(Math.floor(sky.between(0, 4)))
    const latitude = homeLatitude + (home.north + north + northError(atMs)) / metresPerDegree
    const metresPerDegreeEast = metresPerDegree * Math.cos((latitude * Math.PI) / 180)
    const value = (id: string, raw: number): SensorValue => quantised(sensorOf(profile, id), raw)
    const satellites = Math.round(sky.between(5, 13))
    return {
      lat: value('lat', latitude),
      lon: value('lon', homeLongitude + (home.east + east + eastError(atMs)) / metresPerDegreeEast),
      speed: value('speed', speed),
      heading: value('heading', (((heading * 180) / Math.PI) % 360) + (heading % (2 * Math.PI) < 0 ? 360 : 0)),
      fix: satellites > 5 ? 3 : 2,
      satellites,
    }
  }
}

const noFix = (satellites: number) => ({ lat: null, lon: null, speed: null, heading: null, fix: 0, satellites })

const sampleRate = 3_200

/** A shaft's turning with its harmonics and a bearing that knocks a little more from day to day, one burst at a time. */
export const vibrationValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const acceleration = sensorOf(profile, 'acceleration')
  const count = acceleration.samples ?? 0
  const temperature = analog(sensorOf(profile, 'temperature'), random.split('temperature'))
  const load = correlatedNoise(0.15, 120_000, random.split('load'))
  const shaftHertz = random.between(24, 29)
  const amplitude = random.between(150, 300)
  const knock = random.between(20, 120)
  const noise = random.split('samples')
  return atMs => {
    const strength = amplitude * (1 + load(atMs))
    const phase = noise.between(0, 2 * Math.PI)
    const samples: number[] = []
    for (let index = 0; index < count; index++) {
      const angle = phase + (2 * Math.PI * shaftHertz * index) / sampleRate
      const knocks = knock * Math.max(0, Math.sin(angle * 3.58)) ** 12 * Math.sin(angle * 40)
      const tone = strength * (Math.sin(angle) + 0.4 * Math.sin(2 * angle) + 0.15 * Math.sin(3 * angle))
      samples.push(quantised(acceleration, tone + knocks + (acceleration.noise?.deviation ?? 0) * noise.normal()))
    }
    const meanSquare = samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, count)
    return {
      acceleration: samples,
      sampleRate,
      level: quantised(sensorOf(profile, 'level'), Math.sqrt(meanSquare)),
      temperature: temperature(atMs),
    }
  }
}
