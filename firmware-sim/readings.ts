import type { DeviceProfile, Reading } from '../devices/profile.ts'
import { trackerValues, vibrationValues } from './motion.ts'
import type { Random } from './random.ts'
import { analogValues, doorValues, meterValues, soilValues, type ValueSource } from './values.ts'

/** The physics of each profile. A profile that is not here has plain analog sensors. */
const models: Readonly<Record<string, (profile: DeviceProfile, random: Random) => ValueSource>> = {
  power: meterValues,
  vibration: vibrationValues,
  gps: trackerValues,
  door: doorValues,
  soil: soilValues,
}

export interface ReadingsOptions {
  readonly profile: DeviceProfile
  /** The device's own generator. */
  readonly random: Random
  /** Device time of the start of the run, milliseconds since 1970. */
  readonly startMs: number
  /** Mean readings a second. */
  readonly readingsPerSecond: number
}

/** A device takes its first reading soon after it starts, however far apart they are after that. */
const maxFirstReadingMs = 5_000

/**
 * The readings of one device, first to last. Times and values follow from the options alone: real time decides when a
 * reading is made, never what it says. So a run with the same seed, start and rate makes the same bytes.
 */
export const readingsOf = ({ profile, random, startMs, readingsPerSecond }: ReadingsOptions): (() => Reading) => {
  const intervalMs = 1000 / readingsPerSecond
  const valuesAt = (models[profile.name] ?? analogValues)(profile, random.split('values'))
  const schedule = random.split('schedule')
  const firstMs = startMs + schedule.between(0, Math.min(intervalMs, maxFirstReadingMs))
  let dueMs = firstMs
  let seq = 0
  return () => {
    seq++
    const ts = Math.round(dueMs)
    if (profile.sampling.kind === 'event') dueMs += schedule.exponential(intervalMs)
    else {
      const jitterMs = intervalMs * profile.sampling.jitterRatio * schedule.between(-1, 1)
      dueMs = firstMs + seq * intervalMs + jitterMs
    }
    return { seq, ts, values: valuesAt(ts) }
  }
}
