import { decodeText } from './packet-reader.ts'
import { encodeProperties, type Properties, propertyTable, type UserProperty } from './properties.ts'
import { ProtocolViolation } from './protocol-violation.ts'

/**
 * The MQTT 5 properties of a PUBLISH that a broker forwards (section 3.3.2.3). Topic alias and subscription identifiers belong to one
 * connection and are not among them.
 */
export interface ForwardedProperties {
  payloadFormatIndicator?: boolean | undefined
  messageExpiryInterval?: number | undefined
  contentType?: string | undefined
  responseTopic?: string | undefined
  correlationData?: Buffer | undefined
  userProperties?: readonly UserProperty[] | undefined
}

const ids = {
  payloadFormat: propertyTable.payloadFormatIndicator.id,
  messageExpiry: propertyTable.messageExpiryInterval.id,
  contentType: propertyTable.contentType.id,
  responseTopic: propertyTable.responseTopic.id,
  correlation: propertyTable.correlationData.id,
  subscriptionIdentifier: propertyTable.subscriptionIdentifiers.id,
  topicAlias: propertyTable.topicAlias.id,
  user: propertyTable.userProperties.id,
} as const

const none = Buffer.alloc(0)
const PLUS = 0x2b
const HASH = 0x23

/** A property of a PUBLISH: its identifier and where its value stands; of a user property, also where its name does. */
export type VisitProperty = (id: number, start: number, end: number, nameStart: number, nameEnd: number) => void

/**
 * Reads the properties of a PUBLISH from a client in place: one serves all connections, until the next `read`.
 * What is wrong throws `ProtocolViolation`.
 */
export class PublishProperties {
  /** How many are forwarded. */
  count = 0
  /** -1: none. */
  topicAlias = -1
  /** Where the value of the Message Expiry Interval stands; -1: none. */
  expiryAt = -1
  #aliasStart = -1
  #seen = 0

  read(bytes: Buffer, start: number, end: number): void {
    this.count = 0
    this.topicAlias = this.expiryAt = this.#aliasStart = -1
    this.#seen = 0
    for (let at = start; at < end; ) {
      const id = bytes[at]!
      at = this.#property(bytes, id, at + 1, end)
    }
  }

  /** The section as it goes on to subscribers: all but the topic alias. A copy. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20] */
  forwarded(bytes: Buffer, start: number, end: number): Buffer {
    if (start === end) return none
    if (this.#aliasStart < 0) return Buffer.from(bytes.subarray(start, end))
    return Buffer.concat([bytes.subarray(start, this.#aliasStart), bytes.subarray(this.#aliasStart + 3, end)])
  }

  #property(bytes: Buffer, id: number, at: number, end: number): number {
    if (id === ids.user) {
      this.count++
      return this.#text(bytes, this.#text(bytes, at, end), end)
    }
    this.#once(id)
    switch (id) {
      case ids.payloadFormat:
        if (fits(at + 1, end) && bytes[at]! > 1)
          throw new ProtocolViolation('protocolError', 'the payload format indicator is neither 0 nor 1')
        this.count++
        return at + 1
      case ids.messageExpiry:
        fits(at + 4, end)
        this.expiryAt = at
        this.count++
        return at + 4
      case ids.contentType:
        this.count++
        return this.#text(bytes, at, end)
      case ids.responseTopic:
        this.count++
        return this.#responseTopic(bytes, at, end)
      case ids.correlation:
        this.count++
        return lengthEnd(bytes, at, end)
      case ids.topicAlias:
        fits(at + 2, end)
        this.topicAlias = (bytes[at]! << 8) | bytes[at + 1]!
        this.#aliasStart = at - 1
        return at + 2
      case ids.subscriptionIdentifier:
        // [MQTT-3.3.4-6]
        throw new ProtocolViolation('protocolError', 'a client does not send subscription identifiers with PUBLISH')
      default:
        throw new ProtocolViolation('malformedPacket', `property ${id} does not belong to PUBLISH`)
    }
  }

  #once(id: number): void {
    const key = 1 << (id === ids.topicAlias ? 30 : id & 31)
    if (this.#seen & key) throw new ProtocolViolation('protocolError', `property ${id} stands twice`)
    this.#seen |= key
  }

  #text(bytes: Buffer, at: number, end: number): number {
    const textEnd = lengthEnd(bytes, at, end)
    // [MQTT-3.3.2-13] [MQTT-3.3.2-19]
    if (decodeText(bytes, at + 2, textEnd) === undefined)
      throw new ProtocolViolation('malformedPacket', 'a property is not well-formed UTF-8')
    return textEnd
  }

  /** [MQTT-3.3.2-14]: no wildcards. */
  #responseTopic(bytes: Buffer, at: number, end: number): number {
    const textEnd = this.#text(bytes, at, end)
    for (let index = at + 2; index < textEnd; index++) {
      if (bytes[index] === PLUS || bytes[index] === HASH)
        throw new ProtocolViolation('protocolError', 'the response topic has wildcards')
    }
    return textEnd
  }
}

function fits(at: number, end: number): true {
  if (at > end) throw new ProtocolViolation('malformedPacket', 'a property is longer than its section')
  return true
}

function lengthEnd(bytes: Buffer, at: number, end: number): number {
  fits(at + 2, end)
  const valueEnd = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!)
  fits(valueEnd, end)
  return valueEnd
}

/** Calls `visit` with each forwarded property of a section that was read before, in order. */
export function visitForwarded(bytes: Buffer, start: number, end: number, visit: VisitProperty): void {
  for (let at = start; at < end; ) {
    const id = bytes[at++]!
    if (id === ids.payloadFormat) visit(id, at, ++at, 0, 0)
    else if (id === ids.messageExpiry) visit(id, at, (at += 4), 0, 0)
    else if (id === ids.topicAlias) at += 2
    else {
      const firstEnd = lengthEnd(bytes, at, end)
      if (id === ids.user) {
        const valueEnd = lengthEnd(bytes, firstEnd, end)
        visit(id, firstEnd + 2, valueEnd, at + 2, firstEnd)
        at = valueEnd
      } else {
        visit(id, at + 2, firstEnd, 0, 0)
        at = firstEnd
      }
    }
  }
}

export const publishPropertyIds = ids

/** A forwarded section as an object; undefined when it is empty. */
export function decodeForwarded(section: Buffer): ForwardedProperties | undefined {
  if (section.length === 0) return undefined
  const properties: ForwardedProperties = {}
  const user: UserProperty[] = []
  visitForwarded(section, 0, section.length, (id, start, end, nameStart, nameEnd) => {
    if (id === ids.payloadFormat) properties.payloadFormatIndicator = section[start] === 1
    else if (id === ids.messageExpiry) properties.messageExpiryInterval = section.readUInt32BE(start)
    else if (id === ids.contentType) properties.contentType = section.toString('utf8', start, end)
    else if (id === ids.responseTopic) properties.responseTopic = section.toString('utf8', start, end)
    else if (id === ids.correlation) properties.correlationData = Buffer.from(section.subarray(start, end))
    else user.push([section.toString('utf8', nameStart, nameEnd), section.toString('utf8', start, end)])
  })
  if (user.length > 0) properties.userProperties = user
  return properties
}

/** The section of properties that are to be forwarded. */
export function encodeForwarded(properties: ForwardedProperties | undefined): Buffer {
  if (properties === undefined) return none
  const { payloadFormatIndicator, messageExpiryInterval, contentType, responseTopic, correlationData, userProperties } =
    properties
  return encodeProperties({
    payloadFormatIndicator,
    messageExpiryInterval,
    contentType,
    responseTopic,
    correlationData,
    userProperties,
  } as Properties)
}

export function countForwarded(section: Buffer): number {
  let count = 0
  visitForwarded(section, 0, section.length, () => {
    count++
  })
  return count
}

/** Where the value of the Message Expiry Interval stands in a forwarded section; -1: it has none. */
export function expiryPosition(section: Buffer): number {
  let position = -1
  visitForwarded(section, 0, section.length, (id, start) => {
    if (id === ids.messageExpiry) position = start
  })
  return position
}
