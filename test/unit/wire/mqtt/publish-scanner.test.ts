import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { encodePubacks, encodeRefusal } from '../../../../src/wire/mqtt/acks.ts'
import { frameKinds, PublishScanner } from '../../../../src/wire/mqtt/publish-scanner.ts'

const bytesOf = (packet: Packet, protocolVersion = 4): Buffer =>
  mqttPacket.generate(packet, { protocolVersion } as never)
const publish = (more: object = {}): Packet =>
  ({
    cmd: 'publish',
    topic: 'a/ü',
    payload: 'hello',
    qos: 1,
    messageId: 258,
    dup: false,
    retain: false,
    ...more,
  }) as Packet

const fields = (bytes: Buffer, version: number): object => {
  const scanner = new PublishScanner()
  const padded = Buffer.concat([Buffer.from([1, 2, 3]), bytes, Buffer.from([9])])
  const kind = scanner.scan(padded, 3, padded.length, version)
  const { topicStart, topicEnd, payloadStart, frameEnd, qos, packetId, needBytes } = scanner
  if (kind !== frameKinds.plainPublish) return { kind, frameEnd, needBytes }
  const topic = padded.toString('utf8', topicStart, topicEnd)
  return { topic, payload: padded.toString('utf8', payloadStart, frameEnd), qos, packetId, frameEnd, needBytes }
}

describe('publish scanner', () => {
  it('finds the fields of plain publishes', () => {
    const bytes = bytesOf(publish())
    const expected = { topic: 'a/ü', payload: 'hello', frameEnd: 3 + bytes.length, needBytes: bytes.length }
    expect(fields(bytes, 4)).toEqual({ ...expected, qos: 1, packetId: 258 })
    expect(fields(bytesOf(publish({ dup: true })), 3)).toEqual({ ...expected, qos: 1, packetId: 258 })
    const five = bytesOf(publish({ qos: 0, messageId: undefined }), 5)
    expect(fields(five, 5)).toEqual({
      ...expected,
      qos: 0,
      packetId: 0,
      frameEnd: 3 + five.length,
      needBytes: five.length,
    })
  })

  it.each([
    ['retain flag', bytesOf(publish({ retain: true })), 4],
    ['QoS 2', bytesOf(publish({ qos: 2 })), 4],
    ['properties', bytesOf(publish({ properties: { contentType: 'x' } }), 5), 5],
    ['another packet', bytesOf({ cmd: 'pingreq' }), 4],
    ['QoS 3', Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1]), 4],
    ['an empty topic', Buffer.from([0x32, 4, 0, 0, 0, 1]), 4],
    ['packet id 0', Buffer.from([0x32, 5, 0, 1, 0x61, 0, 0]), 4],
    ['a topic beyond the frame', Buffer.from([0x30, 3, 0, 9, 0x61]), 4],
    ['a frame too short for its topic length', Buffer.from([0x30, 1, 0]), 4],
    ['a frame too short for its packet id', Buffer.from([0x32, 4, 0, 1, 0x61, 0]), 4],
    ['no property length', Buffer.from([0x32, 5, 0, 1, 0x61, 0, 1]), 5],
  ])('leaves to the full parser: %s', (_name, bytes, version) => {
    expect(fields(bytes, version)).toEqual({
      kind: frameKinds.other,
      frameEnd: 3 + bytes.length,
      needBytes: bytes.length,
    })
  })

  it('says of every cut of a frame how many bytes it needs', () => {
    const bytes = bytesOf(publish({ payload: Buffer.alloc(300) }))
    const scanner = new PublishScanner()
    for (let end = 1; end < bytes.length; end++) {
      expect(scanner.scan(bytes, 0, end, 4)).toBe(frameKinds.incomplete)
      expect(scanner.needBytes).toBe(end < 3 ? 0 : bytes.length)
    }
    expect(scanner.scan(bytes, 0, bytes.length, 4)).toBe(frameKinds.plainPublish)
  })

  it('knows a remaining length that is none', () => {
    const scanner = new PublishScanner()
    expect(scanner.scan(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), 0, 6, 4)).toBe(frameKinds.malformed)
    expect(scanner.scan(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 0, 5, 4)).toBe(frameKinds.incomplete)
    expect(scanner.needBytes).toBe(5 + 268_435_455)
  })

  it('agrees with mqtt-packet on random publishes', () => {
    let state = 42
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state % below
    }
    for (let round = 0; round < 500; round++) {
      const version = 3 + random(3)
      const qos = random(2)
      const topic = 'x'.repeat(1 + random(200))
      const payload = 'p'.repeat(random(400))
      const packetId = 1 + random(65_535)
      const packet = publish({ topic, payload, qos, messageId: qos > 0 ? packetId : undefined })
      expect(fields(bytesOf(packet, version), version)).toMatchObject({
        topic,
        payload,
        qos,
        packetId: qos > 0 ? packetId : 0,
      })
    }
  })
})

describe('acknowledgements', () => {
  it('are the bytes of PUBACK, one after the other, around the end of the ring', () => {
    const ring = Uint16Array.from([300, 2, 65_535, 4])
    expect(encodePubacks(ring, 2, 3).toString('hex')).toBe('4002ffff' + '40020004' + '4002012c')
  })

  it('of refused publishes carry the reason', () => {
    expect(encodeRefusal(1, 258, 0x97).toString('hex')).toBe('4003010297')
    expect(encodeRefusal(2, 258, 0x97).toString('hex')).toBe('5003010297')
  })
})
