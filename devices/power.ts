import type { DeviceProfile } from './profile.ts'

/**
 * Single-phase energy meter. The counter never falls, so a lost reading costs detail but no energy: when its buffer is full the
 * firmware keeps what it has and skips new readings.
 */
export const power: DeviceProfile = {
  name: 'power',
  describe: 'Power meter: voltage, current, active power, energy counter',
  sensors: [
    {
      id: 'voltage',
      kind: 'number',
      unit: 'V',
      describe: 'Effective voltage',
      range: [0, 300],
      resolution: 0.1,
      course: { mean: 230, meanDeviation: 1.5, dailyAmplitude: 2, peakHour: 3 },
      noise: { deviation: 0.8, correlationMs: 20_000, spikeRatio: 0.0001, spikeSize: 25 },
    },
    {
      id: 'current',
      kind: 'number',
      unit: 'A',
      describe: 'Effective current',
      range: [0, 63],
      resolution: 0.01,
    },
    {
      id: 'activePower',
      kind: 'integer',
      unit: 'W',
      describe: 'Active power',
      range: [0, 18_900],
      resolution: 1,
      course: { mean: 900, meanDeviation: 250, dailyAmplitude: 500, peakHour: 19 },
      noise: { deviation: 350, correlationMs: 120_000 },
    },
    {
      id: 'energy',
      kind: 'integer',
      unit: 'W.h',
      describe: 'Energy taken since the meter was made',
      range: [0, 4_294_967_295],
      resolution: 1,
      monotonic: true,
    },
  ],
  sampling: { kind: 'periodic', readingsPerSecond: 1, jitterRatio: 0.02 },
  encoding: 'json',
  mqttTopic: 'meters/{site}/{device}/power',
  qos: 1,
  retain: false,
  route: { mqtt: 'meters/{site}/{device}/power', topic: 'meters', key: '{device}', headers: { site: '{site}' } },
  firmware: {
    protocolVersion: 5,
    keepAliveSeconds: 60,
    inFlight: 8,
    bufferReadings: 600,
    dropPolicy: 'newest',
    reconnectMinMs: 1_000,
    reconnectMaxMs: 60_000,
    deepSleep: false,
  },
  maxPayloadBytes: 512,
}
