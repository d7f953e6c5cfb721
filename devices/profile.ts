/**
 * The shape of a device profile: what a kind of device measures, how it writes it down, where it publishes, and how its
 * firmware behaves when the link does not. A profile is data; `payload.ts` and `reading.ts` are the pure functions over it.
 */

/** How a payload is written. Both carry the same fields; a decoder tells them apart by the first byte. */
export type Encoding = 'cbor' | 'json'

/**
 * One measured value. Units are UCUM codes (https://ucum.org, case sensitive), `1` where the value has none.
 * `number` is a multiple of `resolution`; `integer` is whole; `samples` is an array of integers.
 */
export type SensorKind = 'number' | 'integer' | 'boolean' | 'samples'

/** Imperfection of a sensor, as its data sheet would give it. Ratios are per reading, 0 to 1. */
export interface SensorNoise {
  /** Standard deviation of the noise, in the unit of the sensor. */
  readonly deviation: number
  /** Time after which the noise has forgotten 63 % of its value. 0 is white noise. */
  readonly correlationMs: number
  /** Standard deviation over the fleet of a slow linear drift, in the unit of the sensor a day. */
  readonly driftPerDay?: number
  /** Share of readings that jump by about `spikeSize`. */
  readonly spikeRatio?: number
  readonly spikeSize?: number
  /** Share of readings in which the sensor begins not to answer; such readings carry null. */
  readonly dropoutRatio?: number
  /** Mean number of readings in a row for which it does not answer. */
  readonly dropoutMeanReadings?: number
}

/** The usual value of a sensor through the day. */
export interface SensorCourse {
  readonly mean: number
  /** Standard deviation of the mean between devices of a fleet: no two rooms are alike. */
  readonly meanDeviation: number
  /** Half of the difference between the highest and the lowest value of a day. */
  readonly dailyAmplitude: number
  /** Local hour of the highest value. */
  readonly peakHour: number
}

export interface Sensor {
  /** Field name in the payload. */
  readonly id: string
  readonly kind: SensorKind
  /** UCUM code. */
  readonly unit: string
  readonly describe: string
  /** Least and greatest value that the sensor can report; for `samples`, of each sample. Absent for booleans. */
  readonly range?: readonly [number, number]
  /** Step between two neighbouring values, in the unit. Absent for booleans. */
  readonly resolution?: number
  /** True where a sensor that does not answer is reported as null. */
  readonly nullable?: boolean
  /** True where a value never falls: a meter reading. */
  readonly monotonic?: boolean
  /** Exact length of the array, for `samples`. */
  readonly samples?: number
  readonly course?: SensorCourse
  readonly noise?: SensorNoise
}

/** When a device takes a reading. The rate can be overridden for a fleet. */
export interface Sampling {
  /** `periodic` with a small jitter; `event` as a Poisson process of the given mean rate. */
  readonly kind: 'periodic' | 'event'
  readonly readingsPerSecond: number
  /** Jitter of a periodic schedule, as a share of the interval; under 0.5, so that readings stay in order. */
  readonly jitterRatio: number
}

/** How a route line of `brooklet.yaml` takes this profile's topics into the log. */
export interface ProfileRoute {
  readonly mqtt: string
  readonly topic: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
}

/** What the firmware does about the link. */
export interface Firmware {
  /** 4 is MQTT 3.1.1, 5 is MQTT 5. */
  readonly protocolVersion: 4 | 5
  readonly keepAliveSeconds: number
  /** Publishes that may wait for their acknowledgement at one time. */
  readonly inFlight: number
  /** Readings that fit into the offline buffer. */
  readonly bufferReadings: number
  /** What a full buffer gives up: its oldest reading, or the new one. Either is a loss by policy, and counted. */
  readonly dropPolicy: 'oldest' | 'newest'
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
  /** True for battery devices that disconnect between readings that are far apart. */
  readonly deepSleep: boolean
}

export interface DeviceProfile {
  readonly name: string
  readonly describe: string
  readonly sensors: readonly Sensor[]
  readonly sampling: Sampling
  /** The encoding that the firmware uses unless told otherwise. */
  readonly encoding: Encoding
  /** MQTT topic with `{site}` and `{device}` to fill in. */
  readonly mqttTopic: string
  readonly qos: 0 | 1 | 2
  /** True where the last reading is the state of the device, so that a new subscriber must see it. */
  readonly retain: boolean
  readonly route: ProfileRoute
  readonly firmware: Firmware
  /** A longer payload is refused undecoded. */
  readonly maxPayloadBytes: number
}

/** A sensor's value in a reading; null says that the sensor did not answer. */
export type SensorValue = number | boolean | readonly number[] | null

/** What one payload carries. */
export interface Reading {
  /** The device's own sequence number: 1 for its first reading, one more for each after it, sent or not. */
  readonly seq: number
  /** Device time, milliseconds since 1970. It is as good as the device's clock. */
  readonly ts: number
  readonly values: Readonly<Record<string, SensorValue>>
}
