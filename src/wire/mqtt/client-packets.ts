import { PacketReader } from './packet-reader.ts'
import { type Properties, readProperties } from './properties.ts'
import { ProtocolViolation } from './protocol-violation.ts'

/** Types of control packets (MQTT 5 section 2.1.2). */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** 3: MQTT 3.1; 4: 3.1.1; 5: 5.0. */
export type ProtocolVersion = 3 | 4 | 5

export interface WillPacket {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly properties: Properties
}

export interface ConnectPacket {
  readonly version: ProtocolVersion
  /** The bit that bridges set: they want retain flags as published, and nothing back of what they sent. */
  readonly isBridge: boolean
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  readonly clientId: string
  readonly will: WillPacket | undefined
  readonly username: string | undefined
  readonly password: Buffer | undefined
  readonly properties: Properties
}

export interface SubscriptionRequest {
  readonly filter: string
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: send retained publishes; 1: only when the subscription is new; 2: never. */
  readonly retainHandling: 0 | 1 | 2
}

export interface SubscribePacket {
  readonly packetId: number
  readonly subscriptions: readonly SubscriptionRequest[]
  readonly properties: Properties
}

export interface UnsubscribePacket {
  readonly packetId: number
  readonly filters: readonly string[]
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. */
export interface AckPacket {
  readonly packetId: number
  readonly reasonCode: number
}

/** DISCONNECT or AUTH. */
export interface ReasonPacket {
  readonly reasonCode: number
  readonly properties: Properties
}

/** A CONNECT of a protocol or version that we do not speak. */
export class UnsupportedVersion extends ProtocolViolation {
  readonly protocol: string

  constructor(protocol: string, level: number) {
    super('unsupportedVersion', `protocol ${JSON.stringify(protocol.slice(0, 16))} level ${level}`)
    this.protocol = protocol
  }
}

const bridgeBit = 0x80
const plainAckBytes = 4
const emptyProperties: Properties = {}

/** A reader of the variable header and payload of the frame `bytes[start, end)`. */
function readerOf(name: string, bytes: Buffer, start: number, end: number): PacketReader {
  const reader = new PacketReader(bytes, name, start, end)
  reader.uint8()
  reader.variableByteInteger()
  return reader
}

/** Section 3.1. Anything but the versions that we speak is `unsupportedVersion`. [MQTT-3.1.3-1] */
export function decodeConnect(bytes: Buffer, start: number, end: number): ConnectPacket {
  const reader = readerOf('CONNECT', bytes, start, end)
  checkFlags(bytes[start]!, 0)
  const name = reader.string()
  const level = reader.uint8()
  const version = level & ~bridgeBit
  const isKnown = name === 'MQTT' ? version === 4 || version === 5 : name === 'MQIsdp' && version === 3
  // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
  if (!isKnown) throw new UnsupportedVersion(name, level)
  const flags = reader.uint8()
  // [MQTT-3.1.2-3]
  if (flags & 1) reader.fail('the reserved connect flag is set')
  const keepAliveSeconds = reader.uint16()
  const properties = version === 5 ? readProperties(reader, 'connect') : emptyProperties
  // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  const clientId = reader.string()
  const will = readWill(reader, flags, version)
  // [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.3-12]
  const username = flags & 0x80 ? reader.string() : undefined
  // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 lets a password stand alone
  if (version < 5 && (flags & 0xc0) === 0x40) reader.fail('a password without a user name')
  // [MQTT-3.1.2-18] [MQTT-3.1.2-19]
  const password = flags & 0x40 ? Buffer.from(reader.binary()) : undefined
  // [MQTT-3.1.4-1]
  reader.finish()
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined)
    throw new ProtocolViolation('protocolError', 'authentication data without a method')
  return {
    version: version as ProtocolVersion,
    isBridge: (level & bridgeBit) !== 0,
    cleanStart: (flags & 2) !== 0,
    keepAliveSeconds,
    clientId,
    will,
    username,
    password,
    properties,
  }
}

function readWill(reader: PacketReader, flags: number, version: number): WillPacket | undefined {
  const qos = (flags >> 3) & 3
  const retain = (flags & 0x20) !== 0
  if ((flags & 4) === 0) {
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
    if (qos > 0 || retain) reader.fail('flags of a will that is not there')
    return undefined
  }
  // [MQTT-3.1.2-12]
  if (qos > 2) reader.fail('a will with QoS 3')
  // [MQTT-3.1.2-9]
  const properties = version === 5 ? readProperties(reader, 'will') : emptyProperties
  // [MQTT-3.1.3-11]
  const topic = reader.string()
  return { topic, payload: Buffer.from(reader.binary()), qos: qos as 0 | 1 | 2, retain, properties }
}

/** Section 3.8. */
export function decodeSubscribe(bytes: Buffer, start: number, end: number, version: number): SubscribePacket {
  const reader = readerOf('SUBSCRIBE', bytes, start, end)
  // [MQTT-3.8.1-1]; MQTT 3.1 sends DUP too
  checkFlags(bytes[start]!, 2, version === 3 ? 0x08 : 0)
  const packetId = reader.packetId()
  const properties = version === 5 ? readProperties(reader, 'subscribe') : emptyProperties
  const subscriptions: SubscriptionRequest[] = []
  while (reader.remaining > 0) {
    // [MQTT-3.8.3-1]
    const filter = reader.string()
    const options = reader.uint8()
    const qos = options & 3
    const retainHandling = (options >> 4) & 3
    // [MQTT-3.8.3-5]; section 3.8.3.1
    if (qos > 2 || retainHandling > 2 || options & (version === 5 ? 0xc0 : 0xfc)) reader.fail('subscription options')
    subscriptions.push({
      filter,
      qos: qos as 0 | 1 | 2,
      noLocal: (options & 4) !== 0,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: retainHandling as 0 | 1 | 2,
    })
  }
  // [MQTT-3.8.3-2]
  if (subscriptions.length === 0) throw new ProtocolViolation('protocolError', 'SUBSCRIBE without a topic filter')
  return { packetId, subscriptions, properties }
}

/** Section 3.10. */
export function decodeUnsubscribe(bytes: Buffer, start: number, end: number, version: number): UnsubscribePacket {
  const reader = readerOf('UNSUBSCRIBE', bytes, start, end)
  // [MQTT-3.10.1-1]
  checkFlags(bytes[start]!, 2, version === 3 ? 0x08 : 0)
  const packetId = reader.packetId()
  if (version === 5) readProperties(reader, 'unsubscribe')
  const filters: string[] = []
  // [MQTT-3.10.3-1]
  while (reader.remaining > 0) filters.push(reader.string())
  // [MQTT-3.10.3-2]
  if (filters.length === 0) throw new ProtocolViolation('protocolError', 'UNSUBSCRIBE without a topic filter')
  return { packetId, filters }
}

/** Sections 3.4 to 3.7. */
export function decodeAck(bytes: Buffer, start: number, end: number, version: number): AckPacket {
  const isPubrel = bytes[start]! >> 4 === packetTypes.pubrel
  // [MQTT-3.6.1-1]
  checkFlags(bytes[start]!, isPubrel ? 2 : 0, version === 3 ? 0x08 : 0)
  // nearly all of them: a packet id and nothing else
  const plainId = end - start === plainAckBytes ? (bytes[start + 2]! << 8) | bytes[start + 3]! : 0
  if (plainId > 0 && bytes[start + 1] === 2) return { packetId: plainId, reasonCode: 0 }
  const reader = readerOf('acknowledgement', bytes, start, end)
  const packetId = reader.packetId()
  if (version !== 5 || reader.remaining === 0) {
    reader.finish()
    return { packetId, reasonCode: 0 }
  }
  const reasonCode = reader.uint8()
  if (reader.remaining > 0) readProperties(reader, 'ack')
  reader.finish()
  return { packetId, reasonCode }
}

/** Sections 3.14 and 3.15. */
export function decodeReason(
  place: 'disconnect' | 'auth',
  bytes: Buffer,
  start: number,
  end: number,
  version: number,
): ReasonPacket {
  const reader = readerOf(place, bytes, start, end)
  // [MQTT-3.14.1-1] [MQTT-3.15.1-1]
  checkFlags(bytes[start]!, 0)
  if (version !== 5 || reader.remaining === 0) {
    reader.finish()
    return { reasonCode: 0, properties: emptyProperties }
  }
  const reasonCode = reader.uint8()
  const properties = reader.remaining > 0 ? readProperties(reader, place) : emptyProperties
  reader.finish()
  return { reasonCode, properties }
}

/** PINGREQ has nothing but its type. */
export function checkPingreq(bytes: Buffer, start: number, end: number): void {
  checkFlags(bytes[start]!, 0)
  readerOf('PINGREQ', bytes, start, end).finish()
}

/** [MQTT-2.1.3-1]: reserved flags are what the specification says. */
function checkFlags(first: number, wanted: number, ignored = 0): void {
  if ((first & 0x0f & ~ignored) !== wanted)
    throw new ProtocolViolation('malformedPacket', `reserved flags of packet type ${first >> 4}`)
}
