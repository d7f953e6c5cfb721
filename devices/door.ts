import type { DeviceProfile } from './profile.ts'

/** Door contact: silent until somebody comes, and its last event is its state, so it is retained. */
export const door: DeviceProfile = {
  name: 'door',
  describe: 'Door contact: event on every opening and closing',
  sensors: [
    { id: 'open', kind: 'boolean', unit: '1', describe: 'True while the door is open' },
    {
      id: 'openings',
      kind: 'integer',
      unit: '1',
      describe: 'Openings counted since the contact was mounted',
      range: [0, 4_294_967_295],
      resolution: 1,
      monotonic: true,
    },
    {
      id: 'battery',
      kind: 'number',
      unit: 'V',
      describe: 'Battery voltage',
      range: [1.8, 3.6],
      resolution: 0.001,
    },
  ],
  sampling: { kind: 'event', readingsPerSecond: 1 / 60, jitterRatio: 0 },
  encoding: 'json',
  mqttTopic: 'doors/{site}/{device}/state',
  qos: 1,
  retain: true,
  route: { mqtt: 'doors/{site}/{device}/state', topic: 'doors', key: '{device}', headers: { site: '{site}' } },
  firmware: {
    protocolVersion: 5,
    keepAliveSeconds: 120,
    inFlight: 1,
    bufferReadings: 64,
    dropPolicy: 'oldest',
    reconnectMinMs: 1_000,
    reconnectMaxMs: 120_000,
    deepSleep: false,
  },
  maxPayloadBytes: 256,
}
