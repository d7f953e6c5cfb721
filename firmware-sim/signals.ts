import type { Sensor, SensorCourse, SensorNoise } from '../devices/profile.ts'
import type { Random } from './random.ts'

/**
 * A value over time. Call it with rising times; for one generator and the same times it gives the same values. Times are
 * milliseconds since 1970, so that a day has its noon.
 */
export type Signal = (atMs: number) => number

const dayMs = 86_400_000
const hourMs = 3_600_000

/** The course of a day: a sine with its peak at the given hour, around a mean that differs from device to device. */
export const diurnal = (course: SensorCourse, random: Random): Signal => {
  const mean = course.mean + course.meanDeviation * random.normal()
  return atMs => mean + course.dailyAmplitude * Math.cos((2 * Math.PI * (atMs - course.peakHour * hourMs)) / dayMs)
}

/**
 * Noise that remembers (Ornstein-Uhlenbeck, sampled exactly at whatever times it is asked): its deviation does not depend
 * on the sampling rate, and two readings `correlationMs` apart correlate with 1/e.
 */
export const correlatedNoise = (deviation: number, correlationMs: number, random: Random): Signal => {
  let value = deviation * random.normal()
  let beforeMs = Number.NaN
  return atMs => {
    if (Number.isNaN(beforeMs)) beforeMs = atMs
    const memory = correlationMs === 0 ? 0 : Math.exp(-(atMs - beforeMs) / correlationMs)
    value = value * memory + deviation * Math.sqrt(1 - memory * memory) * random.normal()
    beforeMs = atMs
    return value
  }
}

/** A straight line away from truth, as a sensor ages. */
export const drift = (perDay: number, random: Random): Signal => {
  const slope = perDay * random.normal()
  let startMs = Number.NaN
  return atMs => {
    if (Number.isNaN(startMs)) startMs = atMs
    return (slope * (atMs - startMs)) / dayMs
  }
}

/** Zero but for a share of readings, which jump up or down by about `size`. */
export const spikes = (ratio: number, size: number, random: Random): Signal => {
  return () => (random.chance(ratio) ? size * (random.chance(0.5) ? 1 : -1) * random.between(0.6, 1.4) : 0)
}

/** True while the sensor does not answer: such times begin in a share of readings and last a geometric number of them. */
export const dropout = (ratio: number, meanReadings: number, random: Random): (() => boolean) => {
  let silent = false
  return () => {
    silent = silent ? random.chance(1 - 1 / meanReadings) : random.chance(ratio)
    return silent
  }
}

/** The sensor's course with all its imperfections, within its range and in steps of its resolution. Null is no answer. */
export const analog = (sensor: Sensor, random: Random): ((atMs: number) => number | null) => {
  const parts: Signal[] = []
  if (sensor.course) parts.push(diurnal(sensor.course, random.split('course')))
  const noise = sensor.noise
  if (noise) parts.push(...imperfections(noise, random))
  const isSilent = dropout(noise?.dropoutRatio ?? 0, noise?.dropoutMeanReadings ?? 1, random.split('dropout'))
  return atMs => {
    let sum = 0
    for (const part of parts) sum += part(atMs)
    return isSilent() ? null : quantised(sensor, sum)
  }
}

/** The value that the sensor would report: clamped to its range, rounded to its resolution, without binary dust. */
export const quantised = (sensor: Sensor, value: number): number => {
  const [low, high] = sensor.range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  const clamped = Math.min(high, Math.max(low, value))
  const resolution = sensor.resolution ?? 1
  const decimals = Math.max(0, Math.ceil(-Math.log10(resolution) - 1e-9))
  const rounded = Number((Math.round(clamped / resolution) * resolution).toFixed(decimals))
  // minus zero is not what a sensor prints
  return rounded === 0 ? 0 : rounded
}

const imperfections = (noise: SensorNoise, random: Random): Signal[] => {
  const parts = [correlatedNoise(noise.deviation, noise.correlationMs, random.split('noise'))]
  if (noise.driftPerDay) parts.push(drift(noise.driftPerDay, random.split('drift')))
  if (noise.spikeRatio) parts.push(spikes(noise.spikeRatio, noise.spikeSize ?? 0, random.split('spikes')))
  return parts
}
