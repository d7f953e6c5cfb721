import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { MalformedFrame } from '../../../../src/core/malformed-frame.ts'
import {
  decodeAck,
  decodeConnect,
  decodeReason,
  decodeSubscribe,
  decodeUnsubscribe,
} from '../../../../src/wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../../../src/wire/mqtt/protocol-violation.ts'

/** mqtt-packet, which many clients use, is the other side. */
const bytesOf = (packet: object, protocolVersion: number): Buffer =>
  mqttPacket.generate(packet as Packet, { protocolVersion } as never)

const connect = (more: object = {}): object => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clean: true,
  clientId: 'c',
  keepalive: 10,
  ...more,
})

const decoders: Record<string, (bytes: Buffer, version: number) => unknown> = {
  connect: bytes => decodeConnect(bytes, 0, bytes.length),
  subscribe: (bytes, version) => decodeSubscribe(bytes, 0, bytes.length, version),
  unsubscribe: (bytes, version) => decodeUnsubscribe(bytes, 0, bytes.length, version),
  ack: (bytes, version) => decodeAck(bytes, 0, bytes.length, version),
  disconnect: (bytes, version) => decodeReason('disconnect', bytes, 0, bytes.length, version),
  auth: (bytes, version) => decodeReason('auth', bytes, 0, bytes.length, version),
}

describe('packets of clients', () => {
  it('CONNECT of all versions, with everything in it', () => {
    const properties = {
      sessionExpiryInterval: 1234,
      receiveMaximum: 432,
      maximumPacketSize: 100,
      topicAliasMaximum: 456,
      requestResponseInformation: true,
      requestProblemInformation: false,
      userProperties: { test: ['a', 'b'] },
      authenticationMethod: 'SCRAM',
      authenticationData: Buffer.from([1, 2]),
    }
    const will = {
      topic: 'w/ü',
      payload: Buffer.from('gone'),
      qos: 2,
      retain: true,
      properties: { willDelayInterval: 7, contentType: 'text/plain', correlationData: Buffer.from([9]) },
    }
    const bytes = bytesOf(connect({ properties, will, username: 'u', password: Buffer.from('p') }), 5)
    expect(decodeConnect(bytes, 0, bytes.length)).toEqual({
      version: 5,
      isBridge: false,
      cleanStart: true,
      keepAliveSeconds: 10,
      clientId: 'c',
      will: { ...will, properties: will.properties },
      username: 'u',
      password: Buffer.from('p'),
      properties: {
        ...properties,
        userProperties: [
          ['test', 'a'],
          ['test', 'b'],
        ],
      },
    })
    const three = bytesOf(connect({ protocolId: 'MQIsdp', protocolVersion: 3, bridgeMode: true }), 3)
    expect(decodeConnect(three, 0, three.length)).toMatchObject({ version: 3, isBridge: true, properties: {} })
  })

  it('SUBSCRIBE and UNSUBSCRIBE', () => {
    const subscriptions = [
      { topic: 'a/#', qos: 2, nl: true, rap: true, rh: 2 },
      { topic: 'b', qos: 0, nl: false, rap: false, rh: 0 },
    ]
    const packet = { cmd: 'subscribe', messageId: 7, subscriptions, properties: { subscriptionIdentifier: 145 } }
    const five = bytesOf(packet, 5)
    expect(decodeSubscribe(five, 0, five.length, 5)).toEqual({
      packetId: 7,
      subscriptions: [
        { filter: 'a/#', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        { filter: 'b', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
      properties: { subscriptionIdentifiers: [145] },
    })
    const four = bytesOf({ cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['a', 'b/+'] }, 4)
    expect(decodeUnsubscribe(four, 0, four.length, 4)).toEqual({ packetId: 8, filters: ['a', 'b/+'] })
  })

  it('acknowledgements, DISCONNECT and AUTH', () => {
    const ack = bytesOf({ cmd: 'pubrec', messageId: 3, reasonCode: 0x97, properties: { reasonString: 'full' } }, 5)
    expect(decodeAck(ack, 0, ack.length, 5)).toEqual({ packetId: 3, reasonCode: 0x97 })
    const plain = bytesOf({ cmd: 'pubrel', messageId: 3 }, 4)
    expect(decodeAck(plain, 0, plain.length, 4)).toEqual({ packetId: 3, reasonCode: 0 })
    const bye = bytesOf({ cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 9 } }, 5)
    expect(decodeReason('disconnect', bye, 0, bye.length, 5)).toEqual({
      reasonCode: 4,
      properties: { sessionExpiryInterval: 9 },
    })
    const auth = bytesOf({ cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } }, 5)
    expect(decodeReason('auth', auth, 0, auth.length, 5)).toEqual({
      reasonCode: 0x18,
      properties: { authenticationMethod: 'm' },
    })
  })

  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
  it.each([
    ['connect', 'another protocol', '10 0c 0004 4d515454 07 02 0000 0000', 'unsupportedVersion'],
    ['connect', 'the reserved flag', '10 0c 0004 4d515454 04 03 0000 0000', MalformedFrame],
    ['connect', 'will QoS 3', '10 10 0004 4d515454 04 1e 0000 0000 0000 0000', MalformedFrame],
    ['connect', 'will QoS without will', '10 0c 0004 4d515454 04 08 0000 0000', MalformedFrame],
    ['connect', 'a password without a user (3.1.1)', '10 0e 0004 4d515454 04 42 0000 0000 0000', MalformedFrame],
    ['connect', 'bytes after the end', '10 0d 0004 4d515454 04 02 0000 0000 00', MalformedFrame],
    ['connect', 'U+0000 in the client id', '10 0d 0004 4d515454 04 02 0000 0001 00', MalformedFrame],
    ['connect', 'half a surrogate in the client id', '10 0f 0004 4d515454 04 02 0000 0003 eda080', MalformedFrame],
    ['connect', 'a property twice', '10 13 0004 4d515454 05 02 0000 06 210001 210002 0000', 'protocolError'],
    ['connect', 'receive maximum 0', '10 10 0004 4d515454 05 02 0000 03 210000 0000', 'protocolError'],
    ['connect', 'a property of PUBLISH', '10 10 0004 4d515454 05 02 0000 03 230001 0000', MalformedFrame],
    ['connect', 'authentication data alone', '10 11 0004 4d515454 05 02 0000 04 16 0001 ff 0000', 'protocolError'],
    ['subscribe', 'no filter', '82 03 0001 00', 'protocolError'],
    ['subscribe', 'QoS 3', '82 07 0001 00 0001 61 03', MalformedFrame],
    ['subscribe', 'retain handling 3', '82 07 0001 00 0001 61 30', MalformedFrame],
    ['subscribe', 'reserved options', '82 07 0001 00 0001 61 40', MalformedFrame],
    ['subscribe', 'packet id 0', '82 07 0000 00 0001 61 00', MalformedFrame],
    ['subscribe', 'flags', '80 07 0001 00 0001 61 00', 'malformedPacket'],
    ['subscribe', 'identifier 0', '82 09 0001 02 0b00 0001 61 00', 'protocolError'],
    ['unsubscribe', 'no filter', 'a2 03 0001 00', 'protocolError'],
    ['ack', 'PUBREL flags', '60 02 0001', 'malformedPacket'],
    ['ack', 'packet id 0', '40 02 0000', MalformedFrame],
    ['disconnect', 'flags', 'e1 00', 'malformedPacket'],
    ['auth', 'a property of CONNECT', 'f0 05 18 03 210001', MalformedFrame],
  ] as const)('%s is refused: %s', (kind, _what, text, expected) => {
    const bytes = hex(text)
    let thrown: unknown
    try {
      decoders[kind]!(bytes, 5)
    } catch (error) {
      thrown = error
    }
    if (typeof expected === 'string') {
      expect(thrown).toBeInstanceOf(ProtocolViolation)
      expect((thrown as ProtocolViolation).violation).toBe(expected)
    } else expect(thrown).toBeInstanceOf(expected)
  })
})
