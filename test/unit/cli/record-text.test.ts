import { encode } from 'cbor-x'
import { expect, it } from 'vitest'
import { jsonLine, plainLine } from '../../../src/cli/record-text.ts'
import type { FetchedRecord } from '../../../src/client/partition-reader.ts'

const record = (value: Buffer | string | null, changes: Partial<FetchedRecord> = {}): FetchedRecord => ({
  topic: 't',
  partition: 2,
  offset: 7,
  timestampMs: 0,
  key: Buffer.from('k'),
  value: typeof value === 'string' ? Buffer.from(value) : value,
  headers: [],
  ...changes,
})
const shown = (value: Buffer | string | null): string => plainLine(record(value)).replace(/^\S+ 2\/7 k /, '')

it('shows text as it is, and nothing that would command the terminal', () => {
  expect(shown('plain text')).toBe('plain text')
  expect(shown('tab\there')).toBe('tab\there')
  expect(shown('clear\u001b[2J')).toBe('"clear\\u001b[2J"')
  expect(shown('two\nlines')).toBe('"two\\nlines"')
  expect(shown('{\n  "a": 1\n}')).toBe('{   "a": 1 }')
  expect(shown('')).toBe('')
  expect(shown(null)).toBe('null')
  expect(shown(Buffer.from([0xff, 0xfe]))).toBe('{"base64":"//4="}')
})

it('shows maps and arrays of CBOR, and takes no single byte for a word of it', () => {
  expect(shown(encode({ celsius: 21.5, count: 2n ** 60n }))).toBe('{"celsius":21.5,"count":"1152921504606846976"}')
  expect(shown(Buffer.from([0xf4]))).toBe('{"base64":"9A=="}')
})

it('shows byte strings within CBOR as base64, and CBOR that lies as a whole', () => {
  const reading = { seq: 1, calibration: Buffer.from([0, 0xff]), nested: [Buffer.from([1])] }
  expect(shown(encode(reading))).toBe('{"seq":1,"calibration":{"base64":"AP8="},"nested":[{"base64":"AQ=="}]}')
  const lying = Buffer.from('a161625affffffff00', 'hex')
  expect(shown(lying)).toBe(`{"base64":"${lying.toString('base64')}"}`)
})

it('gives JSON digit for digit in a line of JSON', () => {
  const line = jsonLine(record('{"id": 12345678901234567890}\n'))
  expect(line).toContain('"value":{"id": 12345678901234567890}}')
  expect(JSON.parse(line)).toMatchObject({ topic: 't', partition: 2, offset: 7, key: 'k' })
  expect(line).not.toContain('\n')
})

it('survives whatever stands in a record', () => {
  const headers = [
    { key: '__proto__', value: Buffer.from([0xff]) },
    { key: 'twice', value: Buffer.from('1') },
    { key: 'twice', value: null },
  ]
  const parsed = JSON.parse(jsonLine(record('not json', { key: Buffer.from([0x80]), timestampMs: 2 ** 53, headers })))
  expect(parsed).toMatchObject({ key: { base64: 'gA==' }, time: String(2 ** 53), value: 'not json' })
  expect(parsed.headers.twice).toEqual(['1', null])
  expect(plainLine(record('x', { timestampMs: -1, key: null }))).toBe('- 2/7 - x')
})
