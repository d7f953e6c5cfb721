/** What stands at a position of a byte stream. */
export const frameKinds = {
  /** Not all bytes are here; `needBytes` says how many the frame takes from its start, or 0 while that is not known. */
  incomplete: 0,
  /** A PUBLISH of QoS 0 or 1 without retain flag and properties, whose fields are in the scanner. */
  plainPublish: 1,
  /** A whole frame of any other kind: `frameEnd` is known, nothing else. */
  other: 2,
  /** The remaining length is no number: nothing after this can be read. */
  malformed: 3,
} as const

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds]

const PUBLISH = 3
const QOS_0 = 0
const QOS_1 = 2
const QOS_AND_RETAIN = 0x07
const MAX_LENGTH_BYTES = 4

/**
 * Reads frames in place, without objects: one scanner serves all connections. It recognises the frames of the hot path
 * (MQTT 3.1.1 section 3.3, MQTT 5 section 3.3) and finds the end of all others; it judges nothing else.
 */
export class PublishScanner {
  frameEnd = 0
  needBytes = 0
  qos = 0
  packetId = 0
  topicStart = 0
  topicEnd = 0
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
    const flags = first & QOS_AND_RETAIN
    return flags === QOS_1 || flags === QOS_0 ? this.#publish(bytes, at, flags >> 1, version) : frameKinds.other
  }

  /** Fields that do not fit into the frame make it one for the full parser, which closes the connection. */
  #publish(bytes: Uint8Array, start: number, qos: number, version: number): FrameKind {
    const end = this.frameEnd
    if (start + 2 > end) return frameKinds.other
    const topicStart = start + 2
    const topicEnd = topicStart + ((bytes[start]! << 8) | bytes[start + 1]!)
    let at = topicEnd
    if (qos > 0) {
      if (at + 2 > end) return frameKinds.other
      this.packetId = (bytes[at]! << 8) | bytes[at + 1]!
      // [MQTT-2.2.1-3] a packet identifier is not zero
      if (this.packetId === 0) return frameKinds.other
      at += 2
    } else this.packetId = 0
    // MQTT 5: properties of length 0
    if (version === 5 && (at >= end || bytes[at++] !== 0)) return frameKinds.other
    if (at > end || topicEnd === topicStart) return frameKinds.other
    this.qos = qos
    this.topicStart = topicStart
    this.topicEnd = topicEnd
    this.payloadStart = at
    return frameKinds.plainPublish
  }
}
