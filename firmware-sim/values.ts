import type { DeviceProfile, Sensor, SensorValue } from '../devices/profile.ts'
import type { Random } from './random.ts'
import { analog, quantised } from './signals.ts'

/** What the sensors of one device say at a time. Call it with rising times. */
export type ValueSource = (atMs: number) => Record<string, SensorValue>

const dayMs = 86_400_000

/** The sensor of that id. @throws where the profile has none: model and profile must agree. */
export const sensorOf = (profile: DeviceProfile, id: string): Sensor => {
  const sensor = profile.sensors.find(candidate => candidate.id === id)
  if (sensor === undefined) throw new Error(`profile ${profile.name} has no sensor ${id}`)
  return sensor
}

/** Every sensor for itself: its course of the day with its noise. */
export const analogValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const signals = profile.sensors.map(sensor => [sensor.id, analog(sensor, random.split(sensor.id))] as const)
  return atMs => Object.fromEntries(signals.map(([id, signal]) => [id, signal(atMs)]))
}

/** Current follows from power and voltage, and the energy counter is the sum of the power that was really drawn. */
export const meterValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const voltageSignal = analog(sensorOf(profile, 'voltage'), random.split('voltage'))
  const powerSignal = analog(sensorOf(profile, 'activePower'), random.split('activePower'))
  const powerFactor = random.between(0.88, 0.99)
  let wattHours = random.between(1_000_000, 30_000_000)
  let beforeMs = Number.NaN
  return atMs => {
    const voltage = voltageSignal(atMs) ?? 0
    const activePower = powerSignal(atMs) ?? 0
    if (!Number.isNaN(beforeMs)) wattHours += (activePower * (atMs - beforeMs)) / 3_600_000
    beforeMs = atMs
    const current = voltage < 1 ? 0 : activePower / voltage / powerFactor
    return {
      voltage,
      current: quantised(sensorOf(profile, 'current'), current),
      activePower,
      energy: Math.floor(wattHours),
    }
  }
}

/** Opens, closes, opens; the counter counts openings. */
export const doorValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const battery = batterySignal(sensorOf(profile, 'battery'), 0.0005, random)
  let isOpen = false
  let openings = Math.floor(random.between(0, 20_000))
  return atMs => {
    isOpen = !isOpen
    if (isOpen) openings++
    return { open: isOpen, openings, battery: battery(atMs) }
  }
}

/** Moisture falls as the soil dries and jumps when it is watered; the rest is analog, but for the battery. */
export const soilValues = (profile: DeviceProfile, random: Random): ValueSource => {
  const analogs = analogValues(profile, random)
  const moisture = sensorOf(profile, 'moisture')
  const battery = batterySignal(sensorOf(profile, 'battery'), 0.002, random)
  const dryingPerDay = random.between(2, 5)
  const wateringEveryMs = random.between(2, 4) * dayMs
  const wateringPhaseMs = random.between(0, wateringEveryMs)
  return atMs => {
    const values = analogs(atMs)
    const sinceWateringDays = ((atMs + wateringPhaseMs) % wateringEveryMs) / dayMs
    const wet = values['moisture']
    const dried = typeof wet === 'number' ? quantised(moisture, wet + 6 - dryingPerDay * sinceWateringDays) : null
    return { ...values, moisture: dried, battery: battery(atMs) }
  }
}

/** A lithium cell that goes down slowly, with the noise of the converter. */
const batterySignal = (sensor: Sensor, voltsPerDay: number, random: Random): ((atMs: number) => number) => {
  const noise = random.split('battery')
  const full = noise.between(2.9, 3.3)
  let startMs = Number.NaN
  return atMs => {
    if (Number.isNaN(startMs)) startMs = atMs
    return quantised(sensor, full - (voltsPerDay * (atMs - startMs)) / dayMs + 0.002 * noise.normal())
  }
}
