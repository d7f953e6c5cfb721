import type { ClockQuality } from '../broker/clock-quality.ts'
import { encodeHeaders, type NewRecordHeader } from '../wire/kafka/batch-encoding.ts'
import type { LogRecord } from '../wire/kafka/records.ts'

/**
 * The MQTT 5 properties of a PUBLISH that a broker forwards (section 3.3.2.3), as mqtt-packet names them. Topic alias and
 * subscription identifiers belong to one connection and are not among them.
 */
export interface ForwardedProperties {
  payloadFormatIndicator?: boolean | undefined
  messageExpiryInterval?: number | undefined
  contentType?: string | undefined
  responseTopic?: string | undefined
  correlationData?: Buffer | undefined
  userProperties?: Readonly<Record<string, string | string[]>> | undefined
}

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
export const userPropertyPrefix = 'mqtt.user.'

/** How a record was published, beside topic and payload. */
export interface Published {
  readonly clientId: string
  /** Undefined when the key is the MQTT topic. */
  readonly mqttTopic: string | undefined
  readonly qos: number
  readonly retain: boolean
  readonly routeHeaders: ReadonlyMap<string, string>
  readonly properties: ForwardedProperties | undefined
  /** `synchronised` needs no header. */
  readonly clock: ClockQuality
}

/** The header array of a record: with topic, key and payload enough to publish it again exactly as it was. */
export function encodePublished(published: Published): Buffer {
  const headers: NewRecordHeader[] = []
  const add = (key: string, value: string | Buffer): void => {
    headers.push({ key, value: typeof value === 'string' ? Buffer.from(value) : value })
  }
  add(headerNames.client, published.clientId)
  for (const [name, value] of published.routeHeaders) add(name, value)
  if (published.mqttTopic !== undefined) add(headerNames.topic, published.mqttTopic)
  if (published.qos !== 1) add(headerNames.qos, String(published.qos))
  if (published.retain) add(headerNames.retain, '1')
  if (published.properties !== undefined) addProperties(published.properties, add)
  if (published.clock !== 'synchronised') add(headerNames.clock, published.clock)
  return encodeHeaders(headers)
}

function addProperties(properties: ForwardedProperties, add: (key: string, value: string | Buffer) => void): void {
  if (properties.payloadFormatIndicator !== undefined)
    add(headerNames.payloadFormat, properties.payloadFormatIndicator ? '1' : '0')
  if (properties.messageExpiryInterval !== undefined)
    add(headerNames.messageExpiry, String(properties.messageExpiryInterval))
  if (properties.contentType !== undefined) add(headerNames.contentType, properties.contentType)
  if (properties.responseTopic !== undefined) add(headerNames.responseTopic, properties.responseTopic)
  if (properties.correlationData !== undefined) add(headerNames.correlation, properties.correlationData)
  for (const [name, values] of Object.entries(properties.userProperties ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) add(userPropertyPrefix + name, value)
  }
}

/** The properties that a stored record was published with, or that a Kafka producer set by header; undefined when there are none. */
export function propertiesOf(record: LogRecord): ForwardedProperties | undefined {
  const properties: ForwardedProperties = {}
  // without a prototype: names come from peers
  const user = Object.create(null) as Record<string, string[]>
  for (const { key, value } of record.headers) {
    // no property of MQTT holds more: whoever got it would be disconnected
    if (value === null || value.length > maxPropertyBytes || key.length > maxPropertyBytes / 3) continue
    if (key.startsWith(userPropertyPrefix)) {
      const name = key.slice(userPropertyPrefix.length)
      if (Object.hasOwn(user, name)) user[name]!.push(value.toString())
      else user[name] = [value.toString()]
    } else readProperty(properties, key, value)
  }
  if (Object.keys(user).length > 0) properties.userProperties = user
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
