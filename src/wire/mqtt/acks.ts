/** First bytes of acknowledgements from the broker (MQTT 5 sections 3.4, 3.5, 3.7). */
export const ackTypes = { puback: 0x40, pubrec: 0x50, pubcomp: 0x70 } as const

export type AckType = (typeof ackTypes)[keyof typeof ackTypes]

const plainBytes = 4

/** An acknowledgement as one number: type, reason code, packet id. */
export const packAck = (type: AckType, packetId: number, reasonCode: number): number =>
  (type << 24) | (reasonCode << 16) | packetId

/**
 * `count` acknowledgements of a ring of `packAck` numbers, from position `first` on, as one run of bytes. Without a reason the form is the same
 * for all versions: MQTT 5 lets the code "success" be left out (section 3.4.2.1).
 * [MQTT-2.2.1-5] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.1.2-29]
 */
export function encodeAcks(ring: Uint32Array, first: number, count: number): Buffer {
  const mask = ring.length - 1
  let length = count * plainBytes
  for (let index = 0; index < count; index++) if (reasonOf(ring[(first + index) & mask]!) > 0) length++
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (let index = 0; index < count; index++) {
    const ack = ring[(first + index) & mask]!
    const reasonCode = reasonOf(ack)
    bytes[at++] = ack >>> 24
    bytes[at++] = reasonCode > 0 ? 3 : 2
    bytes[at++] = (ack >> 8) & 0xff
    bytes[at++] = ack & 0xff
    if (reasonCode > 0) bytes[at++] = reasonCode
  }
  return bytes
}

const reasonOf = (ack: number): number => (ack >> 16) & 0xff
