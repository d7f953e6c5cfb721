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

/** For JSON.stringify: 64-bit numbers of CBOR have no place in JSON; as a number where it is exact, else as digits. */
export const plain = (_key: string, value: unknown): unknown =>
  typeof value !== 'bigint' ? value : Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
