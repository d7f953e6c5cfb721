import type { Packet } from 'mqtt-packet'
import { afterEach, describe, expect, it } from 'vitest'
import { publishPacket, RawMqttClient } from '../../support/mqtt-client.ts'
import { headersOf, MqttServer } from '../../support/mqtt-server.ts'

/**
 * The hot path must change nothing that a client or a reader of the log sees. The same seeded packets go to a server with it and to one where
 * every publish takes the general way; acknowledgements, deliveries and records must be equal.
 */

const seeds = Number(process.env['DIFFERENTIAL_SEEDS'] ?? 12)
const rounds = 40

/** Numbers in [0, below) from a seed (xorshift). */
const randomFrom = (seed: number): ((below: number) => number) => {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

interface Step {
  readonly sender: number
  readonly bytes: Buffer[]
  readonly acks: number
  readonly isSubscribe: boolean
}

const topics = ['a/x', 'a/y', 'b', '/lead/c', 'q/ü', 'd d/e', 'debug/z', '$test/x']

/** Steps of three clients; each ends when all its acknowledgements came, so that both servers stand at the same point. */
const makeSteps = (seed: number, version: number, encode: (packet: Packet) => Buffer): Step[] => {
  const random = randomFrom(seed)
  const subscribed = new Set<string>()
  let messageId = 0
  let payload = 0
  return Array.from({ length: rounds }, () => {
    const sender = random(3)
    if (random(8) === 0) {
      const topic = ['a/#', 'b', '+/y', '#'][random(4)]!
      const unsubscribe = subscribed.has(topic)
      if (unsubscribe) subscribed.delete(topic)
      else subscribed.add(topic)
      const packet: Packet = unsubscribe
        ? { cmd: 'unsubscribe', messageId: ++messageId, unsubscriptions: [topic] }
        : { cmd: 'subscribe', messageId: ++messageId, subscriptions: [{ topic, qos: 1 }] }
      return { sender: 2, bytes: [encode(packet)], acks: 1, isSubscribe: true }
    }
    let acks = 0
    const frames = Array.from({ length: 1 + random(20) }, () => {
      const qos = [0, 1, 1, 1, 1][random(5)] as 0 | 1
      if (qos > 0) acks++
      const properties = version === 5 && random(4) === 0 ? { properties: { contentType: `t${random(3)}` } } : {}
      const retain = random(12) === 0 ? { retain: true } : {}
      const ping = random(15) === 0 ? encode({ cmd: 'pingreq' }) : Buffer.alloc(0)
      const id = qos > 0 ? ++messageId : undefined
      const more = { ...properties, ...retain, dup: qos > 0 && random(20) === 0 }
      const body = Buffer.alloc(random(40), String(++payload))
      return Buffer.concat([encode(publishPacket(topics[random(topics.length)]!, body, qos, id, more)), ping])
    })
    return { sender, bytes: cutUp(Buffer.concat(frames), random), acks, isSubscribe: false }
  })
}

/** The bytes in pieces that do not care for frames. */
const cutUp = (bytes: Buffer, random: (below: number) => number): Buffer[] => {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = random(3) === 0 ? at + 1 + random(30) : bytes.length
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

const isAck = (packet: Packet): boolean => ['puback', 'suback', 'unsuback'].includes(packet.cmd)

let server: MqttServer | undefined
const clients: RawMqttClient[] = []

const stopAll = async (): Promise<void> => {
  for (const client of clients.splice(0)) client.destroy()
  await server?.stop()
  server = undefined
}

const play = async (seed: number, version: number, hotPath: boolean) => {
  server = await MqttServer.start({
    hotPath,
    settings: {
      routes: [{ mqtt: 'debug/#', levels: [{ kind: 'literal', text: 'debug' }, { kind: 'rest' }], store: false }],
    },
  })
  for (let index = 0; index < 3; index++) {
    clients.push(await RawMqttClient.connect(server.port, { clientId: `c${index}`, version }))
  }
  const acks = [0, 0, 0]
  for (const { sender, bytes, acks: expected } of makeSteps(seed, version, packet => clients[0]!.encode(packet))) {
    const client = clients[sender]!
    acks[sender] = acks[sender]! + expected
    for (const piece of bytes) {
      client.sendBytes(piece)
      if (bytes.length > 1) await new Promise(resolve => setImmediate(resolve))
    }
    for (;;) {
      if (client.packets.filter(isAck).length >= acks[sender]!) break
      await client.waitFor(() => client.packets.filter(isAck).length >= acks[sender]!)
    }
    // QoS 0 has no acknowledgement: a QoS 1 publish by the same client comes after it
    acks[sender] = acks[sender]! + 1
    client.publish('end', 'step', 1, 65_000)
    while (client.packets.filter(isAck).length < acks[sender]!) {
      await client.waitFor(() => client.packets.filter(isAck).length >= acks[sender]!)
    }
  }
  const stored: Record<string, unknown[]> = {}
  for (const topic of server.open.broker.topics.all()) {
    stored[topic.name] = (await server.records(topic.name)).map(record => [
      record.partition,
      record.key?.toString(),
      record.value?.toString(),
      headersOf(record),
    ])
  }
  const seen = clients.map(client => ({
    acks: client.packets.filter(isAck).map(({ cmd, messageId }) => [cmd, messageId]),
    pings: client.packets.filter(({ cmd }) => cmd === 'pingresp').length,
    // per topic and QoS, the order that MQTT promises
    delivered: Object.fromEntries(
      topics.flatMap(topic =>
        [0, 1].map(qos => [
          `${topic} ${qos}`,
          client.packets.flatMap(packet =>
            packet.cmd === 'publish' && packet.topic === topic && packet.qos === qos
              ? [[packet.payload.toString(), packet.retain, { ...packet.properties }]]
              : [],
          ),
        ]),
      ),
    ),
  }))
  const hot = server.metrics.count('mqttStored')
  await stopAll()
  return { stored, seen, hot }
}

afterEach(stopAll)

describe.each([4, 5])('version %d', version => {
  it.each(Array.from({ length: seeds }, (_, index) => index + 1))('seed %d: both ways look the same', async seed => {
    const withHotPath = await play(seed, version, true)
    const without = await play(seed, version, false)
    expect(withHotPath.stored).toEqual(without.stored)
    expect(withHotPath.seen).toEqual(without.seen)
    expect(withHotPath.hot).toBe(without.hot)
    expect(withHotPath.hot).toBeGreaterThan(100)
  })
})
