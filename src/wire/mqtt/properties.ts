import type { PacketReader } from './packet-reader.ts'
import { ProtocolViolation } from './protocol-violation.ts'
import { encodeVariableByteInteger } from './variable-byte-integer.ts'

/** Where properties stand: a packet, or the will within CONNECT. */
export type PropertyPlace =
  | 'connect'
  | 'will'
  | 'connack'
  | 'publish'
  | 'ack'
  | 'subscribe'
  | 'unsubscribe'
  | 'suback'
  | 'disconnect'
  | 'auth'

/** Name and value; names may repeat, and their order is kept. [MQTT-3.3.2-18] */
export type UserProperty = readonly [name: string, value: string]

/** All properties of MQTT 5 (section 2.2.2.2). */
export interface Properties {
  payloadFormatIndicator?: boolean
  messageExpiryInterval?: number
  contentType?: string
  responseTopic?: string
  correlationData?: Buffer
  subscriptionIdentifiers?: number[]
  sessionExpiryInterval?: number
  assignedClientIdentifier?: string
  serverKeepAlive?: number
  authenticationMethod?: string
  authenticationData?: Buffer
  requestProblemInformation?: boolean
  willDelayInterval?: number
  requestResponseInformation?: boolean
  responseInformation?: string
  serverReference?: string
  reasonString?: string
  receiveMaximum?: number
  topicAliasMaximum?: number
  topicAlias?: number
  maximumQoS?: boolean
  retainAvailable?: boolean
  userProperties?: UserProperty[]
  maximumPacketSize?: number
  wildcardSubscriptionAvailable?: boolean
  subscriptionIdentifierAvailable?: boolean
  sharedSubscriptionAvailable?: boolean
}

type PropertyType = 'flag' | 'uint16' | 'uint32' | 'variable' | 'text' | 'binary' | 'pair'

interface PropertyRow {
  readonly id: number
  readonly type: PropertyType
  readonly places: readonly PropertyPlace[]
  /** 0 is a protocol error. */
  readonly positive?: true
}

const everywhere: readonly PropertyPlace[] = [
  ...(['connect', 'will', 'connack', 'publish', 'ack', 'subscribe', 'unsubscribe', 'suback', 'disconnect'] as const),
  'auth',
]

/** MQTT 5 table 2-4. */
export const propertyTable: { readonly [Name in keyof Required<Properties>]: PropertyRow } = {
  payloadFormatIndicator: { id: 0x01, type: 'flag', places: ['publish', 'will'] },
  messageExpiryInterval: { id: 0x02, type: 'uint32', places: ['publish', 'will'] },
  contentType: { id: 0x03, type: 'text', places: ['publish', 'will'] },
  responseTopic: { id: 0x08, type: 'text', places: ['publish', 'will'] },
  correlationData: { id: 0x09, type: 'binary', places: ['publish', 'will'] },
  // a client does not send it with PUBLISH [MQTT-3.3.4-6]; the publish scanner says so
  subscriptionIdentifiers: { id: 0x0b, type: 'variable', places: ['subscribe'], positive: true },
  sessionExpiryInterval: { id: 0x11, type: 'uint32', places: ['connect', 'connack', 'disconnect'] },
  assignedClientIdentifier: { id: 0x12, type: 'text', places: ['connack'] },
  serverKeepAlive: { id: 0x13, type: 'uint16', places: ['connack'] },
  authenticationMethod: { id: 0x15, type: 'text', places: ['connect', 'connack', 'auth'] },
  authenticationData: { id: 0x16, type: 'binary', places: ['connect', 'connack', 'auth'] },
  requestProblemInformation: { id: 0x17, type: 'flag', places: ['connect'] },
  willDelayInterval: { id: 0x18, type: 'uint32', places: ['will'] },
  requestResponseInformation: { id: 0x19, type: 'flag', places: ['connect'] },
  responseInformation: { id: 0x1a, type: 'text', places: ['connack'] },
  serverReference: { id: 0x1c, type: 'text', places: ['connack'] },
  reasonString: { id: 0x1f, type: 'text', places: ['connack', 'ack', 'suback', 'disconnect', 'auth'] },
  receiveMaximum: { id: 0x21, type: 'uint16', places: ['connect', 'connack'], positive: true },
  topicAliasMaximum: { id: 0x22, type: 'uint16', places: ['connect', 'connack'] },
  topicAlias: { id: 0x23, type: 'uint16', places: ['publish'] },
  maximumQoS: { id: 0x24, type: 'flag', places: ['connack'] },
  retainAvailable: { id: 0x25, type: 'flag', places: ['connack'] },
  userProperties: { id: 0x26, type: 'pair', places: everywhere },
  maximumPacketSize: { id: 0x27, type: 'uint32', places: ['connect', 'connack'], positive: true },
  wildcardSubscriptionAvailable: { id: 0x28, type: 'flag', places: ['connack'] },
  subscriptionIdentifierAvailable: { id: 0x29, type: 'flag', places: ['connack'] },
  sharedSubscriptionAvailable: { id: 0x2a, type: 'flag', places: ['connack'] },
}

type PropertyName = keyof Properties

const names = new Map(Object.entries(propertyTable).map(([name, { id }]) => [id, name as PropertyName]))

/** The properties that stand at the reader's position, their length first. */
export function readProperties(reader: PacketReader, place: PropertyPlace): Properties {
  const length = reader.variableByteInteger()
  const outerEnd = reader.end
  const start = reader.take(length)
  reader.position = start
  reader.end = start + length
  const properties: Record<string, unknown> = {}
  while (reader.remaining > 0) {
    const name = names.get(reader.variableByteInteger())
    // an identifier that is unknown, or not for this packet, makes it malformed: section 2.2.2.2
    if (name === undefined || !propertyTable[name].places.includes(place))
      reader.fail('a property that does not belong here')
    readProperty(reader, name, properties)
  }
  reader.end = outerEnd
  return properties as Properties
}

function readProperty(reader: PacketReader, name: PropertyName, into: Record<string, unknown>): void {
  const { type, positive } = propertyTable[name]
  if (type === 'pair') {
    const pairs = (into[name] ??= []) as UserProperty[]
    // [MQTT-1.5.7-1]
    pairs.push([reader.string(), reader.string()])
    return
  }
  if (into[name] !== undefined) throw new ProtocolViolation('protocolError', `${name} stands twice`)
  const value = readValue(reader, type, name)
  if (positive && value === 0) throw new ProtocolViolation('protocolError', `${name} is 0`)
  into[name] = name === 'subscriptionIdentifiers' ? [value] : value
}

function readValue(reader: PacketReader, type: Exclude<PropertyType, 'pair'>, name: string): unknown {
  switch (type) {
    case 'flag': {
      const byte = reader.uint8()
      if (byte > 1) throw new ProtocolViolation('protocolError', `${name} is neither 0 nor 1`)
      return byte === 1
    }
    case 'uint16':
      return reader.uint16()
    case 'uint32':
      return reader.uint32()
    case 'variable':
      return reader.variableByteInteger()
    case 'text':
      return reader.string()
    case 'binary':
      return Buffer.from(reader.binary())
  }
}

/** The properties as bytes, without the length before them. Values are trusted. */
export function encodeProperties(properties: Properties): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue
    const { id, type } = propertyTable[name as PropertyName]
    if (type === 'pair')
      for (const [key, text] of value as UserProperty[]) parts.push(byte(id), textBytes(key), textBytes(text))
    else if (type === 'variable')
      for (const one of value as number[]) parts.push(byte(id), encodeVariableByteInteger(one))
    else parts.push(byte(id), valueBytes(type, value))
  }
  return Buffer.concat(parts)
}

const byte = (value: number): Buffer => Buffer.from([value])

function valueBytes(type: 'flag' | 'uint16' | 'uint32' | 'text' | 'binary', value: unknown): Buffer {
  if (type === 'flag') return byte(value ? 1 : 0)
  if (type === 'text') return textBytes(value as string)
  if (type === 'binary') return Buffer.concat([uint16(Buffer.byteLength(value as Buffer)), value as Buffer])
  if (type === 'uint16') return uint16(value as number)
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value as number)
  return bytes
}

const textBytes = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([uint16(bytes.length), bytes])
}

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
