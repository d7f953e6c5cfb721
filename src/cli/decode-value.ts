import { Decoder } from 'cbor-x'
import { isBoundedCbor } from '../../devices/cbor-bounds.ts'

const maxCborDepth = 64
const cbor = new Decoder({ mapsAsObjects: true, useRecords: false })

/** JSON and CBOR as what they say, text as text, the rest as base64. */
export const decodeValue = (value: Buffer | null): unknown => {
  if (value === null || value.length === 0) return value === null ? null : ''
  const text = value.toString()
  if (Buffer.from(text).equals(value)) {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
  try {
    // any other byte could be a number or a word of CBOR
    const isArrayOrMap = value[0]! >> 6 === 2
    if (isArrayOrMap && isBoundedCbor(value, maxCborDepth)) return cbor.decode(value)
  } catch {
    // not CBOR after all
  }
  return { base64: value.toString('base64') }
}

/**
 * For JSON.stringify: what CBOR has and JSON has not. 64-bit numbers as a number where it is exact, else as digits; byte strings as
 * base64, as a whole value that is no text.
 */
export function plain(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  // a Buffer has turned itself into an object of numbers before it comes here
  const raw = (this as Readonly<Record<string, unknown>>)[key]
  return raw instanceof Uint8Array ? { base64: Buffer.from(raw).toString('base64') } : value
}
