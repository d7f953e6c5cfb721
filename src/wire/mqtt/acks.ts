const PUBACK = 0x40
const PUBREC = 0x50
const SUBACK = 0x90
const ACK_BYTES = 4

/**
 * PUBACKs with reason "success" for `count` packet ids of a ring, from position `first` on, as one run of bytes. The form is
 * the same for all versions: MQTT 5 lets the reason code be left out (section 3.4.2.1).
 */
export function encodePubacks(ring: Uint16Array, first: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count * ACK_BYTES)
  const mask = ring.length - 1
  let at = 0
  for (let index = 0; index < count; index++) {
    const packetId = ring[(first + index) & mask]!
    bytes[at] = PUBACK
    bytes[at + 1] = 2
    bytes[at + 2] = packetId >> 8
    bytes[at + 3] = packetId & 0xff
    at += ACK_BYTES
  }
  return bytes
}

/** A PUBACK (QoS 1) or PUBREC (QoS 2) of MQTT 5 that says why the publish was refused. */
export function encodeRefusal(qos: 1 | 2, packetId: number, reasonCode: number): Buffer {
  return Buffer.from([qos === 1 ? PUBACK : PUBREC, 3, packetId >> 8, packetId & 0xff, reasonCode])
}

/** A SUBACK (section 3.9) with one reason code, or return code, for all `count` filters. `version` is 3, 4 or 5. */
export function encodeSuback(packetId: number, count: number, reasonCode: number, version: number): Buffer {
  const body = Buffer.alloc(2 + (version === 5 ? 1 : 0) + count, reasonCode)
  body.writeUInt16BE(packetId)
  // MQTT 5: no properties
  if (version === 5) body[2] = 0
  const length: number[] = []
  for (let left = body.length; ; left >>>= 7) {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
    if (left <= 0x7f) break
  }
  return Buffer.concat([Buffer.from([SUBACK, ...length]), body])
}
