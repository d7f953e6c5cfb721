/** A 128-bit identifier as 32 lower-case hex digits: immutable, comparable with `===`, usable as a map key. */
export type Uuid = string

/** All zero bits: "no id" in the Kafka protocol. */
export const ZERO_UUID: Uuid = '00000000000000000000000000000000'

const HEX_UUID = /^[0-9a-f]{32}$/

export function isUuid(value: string): boolean {
  return HEX_UUID.test(value)
}

/** A version 4 uuid from 16 random bytes (RFC 9562, section 5.4). Randomness is the caller's. */
export function uuidFromRandom(random: Uint8Array): Uuid {
  const bytes = Buffer.from(random.subarray(0, 16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex')
}

/** The 22 characters of URL-safe base64 in which Kafka's tools print ids. */
export function uuidToBase64(uuid: Uuid): string {
  return Buffer.from(uuid, 'hex').toString('base64url')
}

/** The inverse of `uuidToBase64`; undefined when the text is not such an id. */
export function uuidFromBase64(text: string): Uuid | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === 16 && text.length === 22 ? bytes.toString('hex') : undefined
}
