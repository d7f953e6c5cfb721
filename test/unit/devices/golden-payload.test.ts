import { expect, test } from 'vitest'
import { decodePayload, encodePayload, profileNamed } from '../../../devices/index.ts'
import type { SensorValue } from '../../../devices/profile.ts'

const seq = 7
const ts = Date.UTC(2025, 5, 1)

/** seq: 7, ts: uint64 1748736000000 */
const head = '6373657107' + '6274731b0000019728c9c000'

const golden: readonly [string, Record<string, SensorValue>, string][] = [
  [
    'env',
    { temperature: 21.5, humidity: null, pressure: 1013.25 },
    `a5${head}6b74656d7065726174757265fb40358000000000006868756d6964697479f6687072657373757265fb408faa0000000000`,
  ],
  [
    'power',
    { voltage: 230.5, current: 4.25, activePower: 950, energy: 12_345_678 },
    `a6${head}67766f6c74616765fb406cd000000000006763757272656e74fb4011000000000000` +
      '6b616374697665506f7765721903b666656e657267791a00bc614e',
  ],
  [
    'vibration',
    { acceleration: Array(128).fill(-1), sampleRate: 3200, level: 1, temperature: 48.5 },
    `a6${head}6c616363656c65726174696f6e9880${'20'.repeat(128)}` +
      '6a73616d706c6552617465190c80656c6576656c016b74656d7065726174757265fb4048400000000000',
  ],
  [
    'gps',
    { lat: 52.5, lon: -0.125, speed: 0, heading: 90, fix: 3, satellites: 9 },
    `a8${head}636c6174fb404a400000000000636c6f6efbbfc000000000000065737065656400` +
      '6768656164696e67185a63666978036a736174656c6c6974657309',
  ],
  [
    'door',
    { open: true, openings: 300, battery: 3 },
    `a5${head}646f70656ef5686f70656e696e677319012c676261747465727903`,
  ],
  [
    'soil',
    { moisture: 31.5, temperature: -2.5, battery: 3.25 },
    `a5${head}686d6f697374757265fb403f8000000000006b74656d7065726174757265fbc004000000000000` +
      '6762617474657279fb400a000000000000',
  ],
]

test.each(golden)('%s in CBOR is these bytes, in the order of the profile', (name, values, hex) => {
  const profile = profileNamed(name)!
  expect(encodePayload(profile, { seq, ts, values }, 'cbor').toString('hex')).toBe(hex)
  expect(decodePayload(profile, Buffer.from(hex, 'hex'))).toEqual({
    ok: true,
    encoding: 'cbor',
    reading: { seq, ts, values },
  })
})
