import { Decoder, Encoder } from 'cbor-x'
import { isBoundedCbor } from './cbor-bounds.ts'
import type { DeviceProfile, Encoding, Reading, SensorValue } from './profile.ts'
import { checkReading } from './reading.ts'

/** Plain maps (no record extension), so that any CBOR library reads them. */
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false })
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true })

/** A payload map holds numbers and at most arrays of numbers. */
const maxDepth = 2
const openingBrace = 0x7b

/** The outcome of decoding a payload; `problems` are sentences for people. */
export type Decoded =
  | { readonly ok: true; readonly reading: Reading; readonly encoding: Encoding }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Writes a reading as one flat map: `seq`, `ts`, then every sensor in the order of the profile. */
export const encodePayload = (profile: DeviceProfile, reading: Reading, encoding = profile.encoding): Buffer => {
  const fields: Record<string, SensorValue | bigint> = { seq: reading.seq, ts: reading.ts }
  for (const { id } of profile.sensors) fields[id] = reading.values[id] ?? null
  if (encoding === 'json') return Buffer.from(JSON.stringify(fields))
  // the library writes numbers past 32 bits as floats; firmware sends its clock as uint64
  fields['ts'] = BigInt(reading.ts)
  return encoder.encode(fields)
}

/**
 * Reads a payload that came over the network, whichever of the two encodings it has: nothing in it is believed. A payload
 * that is too long, malformed, or not what the profile promises gives the problems, and never throws.
 */
export const decodePayload = (profile: DeviceProfile, bytes: Uint8Array): Decoded => {
  if (bytes.length > profile.maxPayloadBytes) {
    return refused(`payload of ${bytes.length} bytes is over the ${profile.maxPayloadBytes} of profile ${profile.name}`)
  }
  const encoding: Encoding = bytes[0] === openingBrace ? 'json' : 'cbor'
  const fields = encoding === 'json' ? parseJson(bytes) : parseCbor(bytes)
  if (fields === undefined) return refused(`payload is not a ${encoding === 'json' ? 'JSON object' : 'plain CBOR map'}`)
  const { seq, ts, ...values } = fields
  const reading = { seq, ts, values }
  const problems = checkReading(profile, reading)
  // checkReading has just established the types
  return problems.length === 0 ? { ok: true, reading: reading as Reading, encoding } : { ok: false, problems }
}

const refused = (problem: string): Decoded => ({ ok: false, problems: [problem] })

const parseJson = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  try {
    return asFields(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch {
    return undefined
  }
}

const parseCbor = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  if (!isBoundedCbor(bytes, maxDepth)) return undefined
  try {
    return asFields(decoder.decode(bytes))
  } catch {
    return undefined
  }
}

const asFields = (value: unknown): Record<string, unknown> | undefined => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.fromEntries(Object.entries(value).map(([id, field]) => [id, asNumber(field)]))
}

/** The library gives 64-bit integers as bigint; those past 2^53 are out of every range, and stay what they are. */
const asNumber = (field: unknown): unknown =>
  typeof field === 'bigint' && BigInt.asIntN(53, field) === field ? Number(field) : field
