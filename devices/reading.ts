import type { DeviceProfile, Sensor } from './profile.ts'

/** A reading before anything about it is known. */
export interface UncheckedReading {
  readonly seq: unknown
  readonly ts: unknown
  readonly values: Readonly<Record<string, unknown>>
}

/** 2100-01-01: a device clock past it is broken. A device without a clock starts at 1970, which is accepted. */
const maxTimestampMs = 4_102_444_800_000
const maxSequence = 2 ** 32 - 1

/**
 * What is wrong with a reading, as sentences; empty when it is what the profile promises. Fields that the profile does not
 * know are problems too: a field that is silently ignored is data that somebody believes to be stored.
 */
export const checkReading = (profile: DeviceProfile, reading: UncheckedReading): string[] => {
  const problems: string[] = []
  if (!isWhole(reading.seq, 1, maxSequence)) problems.push(`seq is not a whole number from 1 to ${maxSequence}`)
  if (!isWhole(reading.ts, 0, maxTimestampMs)) problems.push('ts is not a time in milliseconds since 1970')
  for (const sensor of profile.sensors) {
    const problem = checkValue(sensor, reading.values[sensor.id])
    if (problem !== undefined) problems.push(`${sensor.id} ${problem}`)
  }
  const known = new Set(profile.sensors.map(sensor => sensor.id))
  for (const id of Object.keys(reading.values)) {
    if (!known.has(id)) problems.push(`${id} is not a sensor of profile ${profile.name}`)
  }
  return problems
}

/** JSON Schema (draft 2020-12) of the payload; units as `x-unit`. For documentation and for other languages. */
export const payloadSchema = (profile: DeviceProfile) => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: profile.name,
  description: profile.describe,
  type: 'object',
  additionalProperties: false,
  required: ['seq', 'ts', ...profile.sensors.map(sensor => sensor.id)],
  properties: {
    seq: { type: 'integer', minimum: 1, maximum: maxSequence, 'x-unit': '1' },
    ts: { type: 'integer', minimum: 0, maximum: maxTimestampMs, 'x-unit': 'ms' },
    ...Object.fromEntries(profile.sensors.map(sensor => [sensor.id, sensorSchema(sensor)])),
  },
})

const sensorSchema = (sensor: Sensor) => {
  const [minimum, maximum] = sensor.range ?? []
  const about = { description: sensor.describe, 'x-unit': sensor.unit }
  if (sensor.kind === 'boolean') return { ...about, type: 'boolean' }
  if (sensor.kind === 'samples') {
    const items = { type: 'integer', minimum, maximum }
    return { ...about, type: 'array', items, minItems: sensor.samples, maxItems: sensor.samples }
  }
  return { ...about, type: sensor.nullable ? [sensor.kind, 'null'] : sensor.kind, minimum, maximum }
}

const checkValue = (sensor: Sensor, value: unknown): string | undefined => {
  if (value === null && sensor.nullable) return undefined
  const [low, high] = sensor.range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  switch (sensor.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'is not true or false'
    case 'samples':
      if (!Array.isArray(value) || value.length !== sensor.samples)
        return `is not an array of ${sensor.samples} samples`
      return value.every(sample => isWhole(sample, low, high)) ? undefined : `has a sample outside ${low} to ${high}`
    case 'integer':
      return isWhole(value, low, high) ? undefined : `is not a whole number from ${low} to ${high} ${sensor.unit}`
    case 'number':
      return typeof value === 'number' && value >= low && value <= high
        ? undefined
        : `is not a number from ${low} to ${high} ${sensor.unit}`
  }
}

const isWhole = (value: unknown, low: number, high: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high
