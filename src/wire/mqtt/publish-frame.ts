import { variableByteIntegerLength, writeVariableByteInteger } from './variable-byte-integer.ts'

/** A PUBLISH to a subscriber (section 3.3). */
export interface OutgoingPublish {
  readonly version: number
  readonly qos: number
  readonly retain: boolean
  readonly dup: boolean
  /** 0 with QoS 0. */
  readonly packetId: number
  /** Empty when an alias stands for it. */
  readonly topic: Buffer
  /** 0: none. */
  readonly topicAlias: number
  readonly subscriptionIdentifiers: readonly number[]
  /** Forwarded properties as a section; not sent before MQTT 5. */
  readonly properties: Buffer
  readonly payload: Buffer
}

const PUBLISH = 0x30
const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23

const propertyBytesOf = ({ version, properties, topicAlias, subscriptionIdentifiers }: OutgoingPublish): number => {
  if (version !== 5) return 0
  let bytes = properties.length + (topicAlias > 0 ? 3 : 0)
  for (const identifier of subscriptionIdentifiers) bytes += 1 + variableByteIntegerLength(identifier)
  return bytes
}

/** Where the packet id stands in a frame whose topic has `topicBytes`, counted from the end of the fixed header. */
export const packetIdOffset = (topicBytes: number): number => 2 + topicBytes

/** The whole packet. */
export function encodePublish(publish: OutgoingPublish): Buffer {
  const { version, qos, retain, dup, packetId, topic, properties, payload } = publish
  const propertyBytes = propertyBytesOf(publish)
  const sectionBytes = version === 5 ? variableByteIntegerLength(propertyBytes) + propertyBytes : 0
  const length = 2 + topic.length + (qos > 0 ? 2 : 0) + sectionBytes + payload.length
  const frame = Buffer.allocUnsafe(1 + variableByteIntegerLength(length) + length)
  frame[0] = PUBLISH | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = writeVariableByteInteger(frame, 1, length)
  frame[at++] = topic.length >> 8
  frame[at++] = topic.length & 0xff
  topic.copy(frame, at)
  at += topic.length
  // [MQTT-2.2.1-2]
  if (qos > 0) {
    frame[at++] = packetId >> 8
    frame[at++] = packetId & 0xff
  }
  if (version === 5) {
    at = writeVariableByteInteger(frame, at, propertyBytes)
    at = writeConnectionProperties(frame, at, publish)
    properties.copy(frame, at)
    at += properties.length
  }
  payload.copy(frame, at)
  return frame
}

/** Those that hold for one connection only. */
function writeConnectionProperties(frame: Buffer, start: number, publish: OutgoingPublish): number {
  let at = start
  if (publish.topicAlias > 0) {
    frame[at++] = TOPIC_ALIAS
    frame[at++] = publish.topicAlias >> 8
    frame[at++] = publish.topicAlias & 0xff
  }
  for (const identifier of publish.subscriptionIdentifiers) {
    frame[at++] = SUBSCRIPTION_IDENTIFIER
    at = writeVariableByteInteger(frame, at, identifier)
  }
  return at
}
