import type { ClockQuality } from '../broker/clock-quality.ts'
import { varintLength, writeVarint } from '../core/varint.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import type { UserProperty } from '../wire/mqtt/properties.ts'
import { type ForwardedProperties, publishPropertyIds, visitForwarded } from '../wire/mqtt/publish-properties.ts'

/** Names of the headers that say how a record was published. The names are read by consumers: never change one. */
export const headerNames = {
  client: 'mqtt.client',
  topic: 'mqtt.topic',
  qos: 'mqtt.qos',
  retain: 'mqtt.retain',
  payloadFormat: 'mqtt.payload.format',
  messageExpiry: 'mqtt.message.expiry',
  contentType: 'mqtt.content.type',
  responseTopic: 'mqtt.response.topic',
  correlation: 'mqtt.correlation',
  clock: 'clock',
} as const

const maxPropertyBytes = 65_535

/** One header per user property, in order, repeated names included. */
const userPropertyPrefix = 'mqtt.user.'

/** How a record was published, beside topic, payload and properties. */
export interface Published {
  readonly clientId: string
  /** Undefined when the key is the MQTT topic. */
  readonly mqttTopic: string | undefined
  readonly qos: number
  readonly retain: boolean
  readonly routeHeaders: ReadonlyMap<string, string>
  /** `synchronised` needs no header. */
  readonly clock: ClockQuality
}

/** What the records of one client and topic have in common: headers before and after those of the properties. */
export interface HeaderTemplate {
  readonly before: Buffer
  readonly beforeCount: number
  readonly after: Buffer
  readonly afterCount: number
  /** The whole header array of a publish without properties. */
  readonly whole: Buffer
}

const nothing = Buffer.alloc(0)

export function headerTemplate(published: Published): HeaderTemplate {
  const before: [string, string][] = [[headerNames.client, published.clientId], ...published.routeHeaders]
  if (published.mqttTopic !== undefined) before.push([headerNames.topic, published.mqttTopic])
  if (published.qos !== 1) before.push([headerNames.qos, String(published.qos)])
  if (published.retain) before.push([headerNames.retain, '1'])
  const after: [string, string][] = published.clock === 'synchronised' ? [] : [[headerNames.clock, published.clock]]
  const parts = {
    before: Buffer.concat(before.map(([key, value]) => headerBytes(key, value))),
    beforeCount: before.length,
    after: Buffer.concat(after.map(([key, value]) => headerBytes(key, value))),
    afterCount: after.length,
  }
  return { ...parts, whole: Buffer.from(withProperties(parts, nothing, 0, 0, 0)) }
}

const headerBytes = (key: string, value: string): Buffer => {
  const [name, text] = [Buffer.from(key), Buffer.from(value)]
  const bytes = Buffer.allocUnsafe(varintLength(name.length) + name.length + varintLength(text.length) + text.length)
  let at = writeVarint(bytes, 0, name.length)
  at += name.copy(bytes, at)
  at = writeVarint(bytes, at, text.length)
  text.copy(bytes, at)
  return bytes
}

/** Names of property headers as bytes. */
const propertyNames = new Map(
  [
    [publishPropertyIds.payloadFormat, headerNames.payloadFormat] as const,
    [publishPropertyIds.messageExpiry, headerNames.messageExpiry] as const,
    [publishPropertyIds.contentType, headerNames.contentType] as const,
    [publishPropertyIds.responseTopic, headerNames.responseTopic] as const,
    [publishPropertyIds.correlation, headerNames.correlation] as const,
  ].map(([id, name]) => [id, Buffer.from(name)] as const),
)
const userPrefix = Buffer.from(userPropertyPrefix)
/** More than what a property needs beside its bytes in the section: two lengths, and the longest name or number. */
const extraBytesPerProperty = 64

// encoded headers are copied into the batch at once, so one buffer serves all records
let scratch = Buffer.allocUnsafe(4096)
let at = 0
let source: Buffer = nothing

/**
 * The header array of a record with the `count` properties of the section `bytes[start, end)`, which was read before. It is good until the
 * next call.
 */
export function withProperties(
  template: Omit<HeaderTemplate, 'whole'>,
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
): Buffer {
  const { before, beforeCount, after, afterCount } = template
  const room = before.length + after.length + (end - start) + (count + 1) * extraBytesPerProperty
  if (scratch.length < room) scratch = Buffer.allocUnsafe(2 * room)
  at = writeVarint(scratch, 0, beforeCount + afterCount + count)
  at += before.copy(scratch, at)
  source = bytes
  visitForwarded(bytes, start, end, writeProperty)
  source = nothing
  at += after.copy(scratch, at)
  return scratch.subarray(0, at)
}

const writeProperty = (id: number, start: number, end: number, nameStart: number, nameEnd: number): void => {
  if (id === publishPropertyIds.user) {
    at = writeVarint(scratch, at, userPrefix.length + nameEnd - nameStart)
    at += userPrefix.copy(scratch, at)
    at += source.copy(scratch, at, nameStart, nameEnd)
  } else {
    const name = propertyNames.get(id as 1)!
    at = writeVarint(scratch, at, name.length)
    at += name.copy(scratch, at)
  }
  if (id === publishPropertyIds.payloadFormat) writeText(source[start] === 1 ? '1' : '0')
  else if (id === publishPropertyIds.messageExpiry) writeText(String(source.readUInt32BE(start)))
  else {
    at = writeVarint(scratch, at, end - start)
    at += source.copy(scratch, at, start, end)
  }
}

const writeText = (text: string): void => {
  at = writeVarint(scratch, at, text.length)
  at += scratch.write(text, at, 'latin1')
}

/** The properties that a stored record was published with, or that a Kafka producer set by header; undefined when there are none. */
export function propertiesOf(record: LogRecord): ForwardedProperties | undefined {
  const properties: ForwardedProperties = {}
  const user: UserProperty[] = []
  for (const { key, value } of record.headers) {
    // no property of MQTT holds more: whoever got it would be disconnected
    if (value === null || value.length > maxPropertyBytes || key.length > maxPropertyBytes / 3) continue
    if (key.startsWith(userPropertyPrefix)) user.push([key.slice(userPropertyPrefix.length), value.toString()])
    else readProperty(properties, key, value)
  }
  if (user.length > 0) properties.userProperties = user
  return Object.keys(properties).length > 0 ? properties : undefined
}

function readProperty(properties: ForwardedProperties, key: string, value: Buffer): void {
  if (key === headerNames.payloadFormat) properties.payloadFormatIndicator = value.toString() === '1'
  else if (key === headerNames.contentType) properties.contentType = value.toString()
  else if (key === headerNames.responseTopic) properties.responseTopic = value.toString()
  else if (key === headerNames.correlation) properties.correlationData = value
  else if (key === headerNames.messageExpiry) {
    const seconds = Number(value.toString())
    if (Number.isInteger(seconds) && seconds > 0 && seconds < 2 ** 32) properties.messageExpiryInterval = seconds
  }
}
