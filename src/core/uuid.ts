/** A 128-bit identifier as 32 lower-case hex digits: immutable, comparable with `===`, usable as a map key. */
export type Uuid = string

/** All zero bits: "no id" in the Kafka protocol. */
export const ZERO_UUID: Uuid = '00000000000000000000000000000000'

/** A version 4 uuid from 16 random bytes (RFC 9562, section 5.4). Randomness is the caller's. */
export function uuidFromRandom(random: Uint8Array): Uuid {
  const bytes = Buffer.from(random.subarray(0, 16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex')
}
