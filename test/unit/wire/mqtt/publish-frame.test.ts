import mqttPacket, { type IPublishPacket } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { ProtocolViolation } from '../../../../src/wire/mqtt/protocol-violation.ts'
import { encodePublish } from '../../../../src/wire/mqtt/publish-frame.ts'
import {
  countForwarded,
  decodeForwarded,
  encodeForwarded,
  expiryPosition,
  PublishProperties,
} from '../../../../src/wire/mqtt/publish-properties.ts'

const decoded = (bytes: Buffer, protocolVersion: number): IPublishPacket => {
  let packet: IPublishPacket | undefined
  const parser = mqttPacket.parser({ protocolVersion } as never)
  parser.on('packet', one => {
    packet = one as IPublishPacket
  })
  parser.parse(bytes)
  return packet!
}

const properties = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 300,
  contentType: 'text/plain',
  responseTopic: 'r/t',
  correlationData: Buffer.from([1, 2, 3]),
  userProperties: [
    ['b', '1'],
    ['a', '2'],
    ['b', 'ü'],
  ],
} as const

describe('PUBLISH to subscribers', () => {
  const plain = {
    retain: true,
    dup: true,
    packetId: 513,
    topic: Buffer.from('a/ü'),
    topicAlias: 0,
    subscriptionIdentifiers: [],
    properties: encodeForwarded(properties),
    payload: Buffer.alloc(200, 'x'),
  }

  it.each([
    [3, 1],
    [4, 0],
    [5, 2],
  ])('version %d, QoS %d is what mqtt-packet reads', (version, qos) => {
    const packet = decoded(encodePublish({ ...plain, version, qos }), version)
    expect(packet).toMatchObject({ topic: 'a/ü', qos, retain: true, dup: true, payload: plain.payload })
    expect(packet.messageId).toBe(qos > 0 ? 513 : undefined)
    if (version < 5) expect(packet.properties).toBeUndefined()
    else expect(packet.properties).toMatchObject({ contentType: 'text/plain', messageExpiryInterval: 300 })
  })

  it('carries alias and subscription identifiers', () => {
    const bytes = encodePublish({
      ...plain,
      version: 5,
      qos: 1,
      topic: Buffer.alloc(0),
      topicAlias: 300,
      subscriptionIdentifiers: [7, 268_435_455],
    })
    expect(decoded(bytes, 5)).toMatchObject({
      topic: '',
      properties: { topicAlias: 300, subscriptionIdentifier: [7, 268_435_455], responseTopic: 'r/t' },
    })
  })
})

describe('properties of a PUBLISH', () => {
  const section = encodeForwarded(properties)
  const reader = new PublishProperties()

  it('are forwarded in their order, without the topic alias', () => {
    expect(decodeForwarded(section)).toEqual(properties)
    const alias = Buffer.from([0x23, 1, 2])
    const sent = Buffer.concat([Buffer.from('xx'), section, alias, Buffer.from('yy')])
    reader.read(sent, 2, sent.length - 2)
    expect({ alias: reader.topicAlias, count: reader.count }).toEqual({ alias: 258, count: 8 })
    expect(reader.forwarded(sent, 2, sent.length - 2)).toEqual(section)
    expect(countForwarded(sent.subarray(2, sent.length - 2))).toBe(8)
    expect(section.readUInt32BE(expiryPosition(section))).toBe(300)
  })

  it('are read without a trace of the PUBLISH before', () => {
    reader.read(section, 0, section.length)
    reader.read(section, 0, 0)
    expect({ alias: reader.topicAlias, count: reader.count }).toEqual({ alias: -1, count: 0 })
  })

  it.each([
    ['a property of another packet', [0x21, 0, 1], 'malformedPacket'],
    ['a subscription identifier', [0x0b, 1], 'protocolError'],
    ['an alias twice', [0x23, 0, 1, 0x23, 0, 1], 'protocolError'],
    ['a content type twice', [0x03, 0, 0, 0x03, 0, 0], 'protocolError'],
    ['payload format 2', [0x01, 2], 'protocolError'],
    ['a text beyond the section', [0x03, 0, 5, 0x61], 'malformedPacket'],
    ['a number beyond the section', [0x02, 0, 0], 'malformedPacket'],
    ['a name without a value', [0x26, 0, 1, 0x61], 'malformedPacket'],
    ['text that is not UTF-8', [0x03, 0, 1, 0xff], 'malformedPacket'],
    ['U+0000', [0x26, 0, 1, 0x61, 0, 1, 0], 'malformedPacket'],
    ['wildcards in the response topic', [0x08, 0, 1, 0x23], 'protocolError'],
  ])('refuse %s', (_what, bytes, violation) => {
    const broken = (): void => reader.read(Buffer.from(bytes), 0, bytes.length)
    expect(broken).toThrow(ProtocolViolation)
    try {
      broken()
    } catch (error) {
      expect((error as ProtocolViolation).violation).toBe(violation)
    }
  })

  it('an alias and a content type do not stand in for each other', () => {
    const both = Buffer.from([0x03, 0, 1, 0x61, 0x23, 0, 1])
    expect(() => reader.read(both, 0, both.length)).not.toThrow()
  })
})
