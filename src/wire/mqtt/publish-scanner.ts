/** What stands at a position of a byte stream. */
export const frameKinds = {
  /** Not all bytes are here; `needBytes` says how many the frame takes from its start, or 0 while that is not known. */
  incomplete: 0,
  /** A PUBLISH whose fields are in the scanner. */
  publish: 1,
  /** A whole frame of any other kind: `frameEnd` is known, nothing else. */
  other: 2,
  /** The remaining length is no number, or the fields of a PUBLISH do not fit: nothing after this can be trusted. */
  malformed: 3,
} as const

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds]

const PUBLISH = 3
const RETAIN = 1
const DUP = 8
const MAX_LENGTH_BYTES = 4

/**
 * Reads frames in place, without objects: one scanner serves all connections. It takes PUBLISH apart (MQTT 3.1.1 section 3.3, MQTT 5 section
 * 3.3; properties are for `PublishProperties`) and finds the end of all others; it judges nothing else.
 */
export class PublishScanner {
  frameEnd = 0
  needBytes = 0
  qos = 0
  retain = false
  /** 0 with QoS 0. */
  packetId = 0
  topicStart = 0
  topicEnd = 0
  /** The property section without its length; both ends are equal when there is none. */
  propertiesStart = 0
  propertiesEnd = 0
  payloadStart = 0

  /** Looks at the frame that begins at `start` of `bytes`, which ends at `end`. `version` is 3, 4 or 5. */
  scan(bytes: Uint8Array, start: number, end: number, version: number): FrameKind {
    this.needBytes = 0
    let at = start + 1
    let length = 0
    let shift = 0
    for (;;) {
      if (at >= end) return frameKinds.incomplete
      const byte = bytes[at++]!
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
      shift += 7
      if (shift >= 7 * MAX_LENGTH_BYTES) return frameKinds.malformed
    }
    this.needBytes = at - start + length
    if (at + length > end) return frameKinds.incomplete
    this.frameEnd = at + length
    const first = bytes[start]!
    if (first >> 4 !== PUBLISH) return frameKinds.other
    const qos = (first >> 1) & 3
    // [MQTT-3.3.1-4] [MQTT-3.3.1-2]
    if (qos === 3 || (qos === 0 && (first & DUP) !== 0)) return frameKinds.malformed
    this.qos = qos
    this.retain = (first & RETAIN) !== 0
    return this.#fields(bytes, at, version)
  }

  #fields(bytes: Uint8Array, start: number, version: number): FrameKind {
    const end = this.frameEnd
    if (start + 2 > end) return frameKinds.malformed
    // [MQTT-3.3.2-1]
    this.topicStart = start + 2
    let at = this.topicStart + ((bytes[start]! << 8) | bytes[start + 1]!)
    this.topicEnd = at
    this.packetId = 0
    if (this.qos > 0) {
      if (at + 2 > end) return frameKinds.malformed
      this.packetId = (bytes[at]! << 8) | bytes[at + 1]!
      // [MQTT-2.2.1-3]
      if (this.packetId === 0) return frameKinds.malformed
      at += 2
    }
    let propertyBytes = 0
    if (version === 5) {
      let shift = 0
      for (;;) {
        if (at >= end || shift >= 7 * MAX_LENGTH_BYTES) return frameKinds.malformed
        const byte = bytes[at++]!
        propertyBytes |= (byte & 0x7f) << shift
        if (byte < 0x80) break
        shift += 7
      }
    }
    this.propertiesStart = at
    this.propertiesEnd = at + propertyBytes
    // also where a topic of QoS 0 goes beyond the frame
    if (this.propertiesEnd > end) return frameKinds.malformed
    this.payloadStart = this.propertiesEnd
    return frameKinds.publish
  }
}
