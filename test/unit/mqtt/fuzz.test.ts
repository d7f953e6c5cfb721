import type { Packet } from 'mqtt-packet'
import { afterEach, describe, expect, it } from 'vitest'
import { publishPacket, RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'

/** Bad bytes end their own connection, with a counter and a line at most, and nothing else. */

const seeds = Number(process.env['FUZZ_SEEDS'] ?? 60)
let server: MqttServer

const randomFrom = (seed: number): ((below: number) => number) => {
  let state = (seed * 2_654_435_761 + 7) >>> 0 || 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

afterEach(() => server.stop())

describe.each([3, 4, 5])('version %d', version => {
  it(`${seeds} seeds of damaged packets leave the server and other clients whole`, async () => {
    server = await MqttServer.start({ settings: { 'mqtt.max.packet.bytes': 4096 } })
    const good = await RawMqttClient.connect(server.port, { clientId: 'good' })
    for (let seed = 1; seed <= seeds; seed++) {
      const random = randomFrom(seed)
      const early = random(4) === 0
      const client = early
        ? await RawMqttClient.open(server.port, version)
        : await RawMqttClient.connect(server.port, { clientId: `f${seed}`, version })
      const packets: Packet[] = [
        publishPacket('a/x', Buffer.alloc(random(200), 1), 1, 1 + random(9)),
        publishPacket('a/y', Buffer.alloc(random(50), 1), 2, 10 + random(9)),
        publishPacket('b', 'v', 0),
        { cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: 'a/#', qos: 1 }] },
        { cmd: 'pubrel', messageId: 11 },
        { cmd: 'puback', messageId: 11 },
        { cmd: 'pingreq' },
        { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['a/#', 'b'] },
        publishPacket('a/z', 'v', 1, 20, {
          retain: true,
          properties: { topicAlias: 2, messageExpiryInterval: 1, userProperties: { a: ['1', '2'] }, contentType: 't' },
        }),
        {
          cmd: 'connect',
          protocolId: 'MQTT',
          protocolVersion: version as 4,
          clientId: `c${random(3)}`,
          clean: random(2) === 0,
          keepalive: 10,
          will: {
            topic: 'a/w',
            payload: Buffer.from('w'),
            qos: 1,
            retain: false,
            properties: { willDelayInterval: 1 },
          },
          properties: { sessionExpiryInterval: random(3), receiveMaximum: 2, maximumPacketSize: 100 },
        },
        { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 9 } },
      ]
      const bytes = client.encode(...Array.from({ length: 12 }, () => packets[random(packets.length)]!))
      for (let flips = random(10); flips > 0; flips--) bytes[random(bytes.length)] = random(256)
      const cut = random(3) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
      client.sendBytes(random(5) === 0 ? Buffer.from(Array.from({ length: 300 }, () => random(256))) : cut)
      client.ignoreErrors = true
      if (random(2) === 0) await new Promise(resolve => setImmediate(resolve))
      good.publish('good/x', String(seed), 1, seed)
      await good.waitCount('puback', seed)
      client.destroy()
    }
    const records = await server.records('good')
    expect(records.map(({ value }) => Number(value!.toString()))).toEqual(
      Array.from({ length: seeds }, (_, index) => index + 1),
    )
    expect(server.metrics.count('mqttRefusedConnections', 'protocol')).toBeGreaterThan(0)
    // one line for each reason in ten seconds
    expect(server.lines.filter(({ level }) => level === 'warn').length).toBeLessThan(10)
    expect(server.lines.filter(({ level }) => level === 'error')).toEqual([])
    good.destroy()
    while (server.memory.usedBytes > 0) await new Promise(resolve => setImmediate(resolve))
  })
})
