import { Encoder } from 'cbor-x'

// plain CBOR (RFC 8949) with string keys: every other CBOR reader shows what a view has stored
const encoder = new Encoder({ useRecords: false, variableMapSize: true, mapsAsObjects: true, tagUint8Array: false })

/** A state value as CBOR. */
export const encodeState = (value: unknown): Buffer => Buffer.from(encoder.encode(value))

/** The value that `encodeState` took. The bytes came from a verified batch; `Value` is what the writer of the record wrote. */
export const decodeState = <Value>(bytes: Buffer): Value => encoder.decode(bytes) as Value
