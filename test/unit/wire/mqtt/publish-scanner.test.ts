import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
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
  const { topicStart, topicEnd, payloadStart, frameEnd, qos, packetId, needBytes, retain } = scanner
  if (kind !== frameKinds.publish) return { kind, frameEnd, needBytes }
  const topic = padded.toString('utf8', topicStart, topicEnd)
  const payload = padded.toString('utf8', payloadStart, frameEnd)
  const propertyBytes = scanner.propertiesEnd - scanner.propertiesStart
  return { topic, payload, qos, packetId, frameEnd, needBytes, retain, propertyBytes }
}

describe('publish scanner', () => {
  it('finds the fields of publishes', () => {
    const bytes = bytesOf(publish())
    const plain = { topic: 'a/ü', payload: 'hello', retain: false, propertyBytes: 0 }
    const expected = { ...plain, frameEnd: 3 + bytes.length, needBytes: bytes.length }
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

  it('finds retain flag, QoS 2 and the property section', () => {
    expect(fields(bytesOf(publish({ retain: true })), 4)).toMatchObject({ retain: true, qos: 1 })
    expect(fields(bytesOf(publish({ qos: 2 })), 4)).toMatchObject({ qos: 2, packetId: 258 })
    const five = bytesOf(publish({ properties: { contentType: 'x'.repeat(200) } }), 5)
    expect(fields(five, 5)).toMatchObject({ propertyBytes: 203, payload: 'hello' })
    // whether a topic may be empty is not the scanner's business
    expect(fields(Buffer.from([0x32, 4, 0, 0, 0, 1]), 4)).toMatchObject({ topic: '', packetId: 1, payload: '' })
  })

  it('finds the end of other packets', () => {
    const bytes = bytesOf({ cmd: 'pingreq' })
    expect(fields(bytes, 4)).toEqual({ kind: frameKinds.other, frameEnd: 5, needBytes: 2 })
  })

  it.each([
    ['QoS 3', Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1]), 4],
    ['DUP with QoS 0', Buffer.from([0x38, 3, 0, 1, 0x61]), 4],
    ['packet id 0', Buffer.from([0x32, 5, 0, 1, 0x61, 0, 0]), 4],
    ['a topic beyond the frame', Buffer.from([0x32, 3, 0, 9, 0x61]), 4],
    ['a topic beyond a frame of QoS 0', Buffer.from([0x30, 3, 0, 9, 0x61]), 4],
    ['a frame too short for its topic length', Buffer.from([0x30, 1, 0]), 4],
    ['a frame too short for its packet id', Buffer.from([0x32, 4, 0, 1, 0x61, 0]), 4],
    ['no property length', Buffer.from([0x32, 5, 0, 1, 0x61, 0, 1]), 5],
    ['properties beyond the frame', Buffer.from([0x32, 7, 0, 1, 0x61, 0, 1, 2, 1]), 5],
    ['a property length of five bytes', Buffer.from([0x30, 8, 0, 1, 0x61, 0x80, 0x80, 0x80, 0x80, 0]), 5],
  ])('knows as malformed: %s', (_name, bytes, version) => {
    expect(fields(bytes, version)).toMatchObject({ kind: frameKinds.malformed })
  })

  it('says of every cut of a frame how many bytes it needs', () => {
    const bytes = bytesOf(publish({ payload: Buffer.alloc(300) }))
    const scanner = new PublishScanner()
    for (let end = 1; end < bytes.length; end++) {
      expect(scanner.scan(bytes, 0, end, 4)).toBe(frameKinds.incomplete)
      expect(scanner.needBytes).toBe(end < 3 ? 0 : bytes.length)
    }
    expect(scanner.scan(bytes, 0, bytes.length, 4)).toBe(frameKinds.publish)
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
