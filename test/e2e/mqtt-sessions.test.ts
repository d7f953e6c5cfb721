import type { Packet } from 'mqtt-packet'
import { afterEach, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { RawMqttClient } from '../support/mqtt-client.ts'

/** Sessions across kill -9: every acknowledged publish reaches a subscriber with a session, here or away, in order. */

const kills = Number(process.env['KILL_CYCLES'] ?? 3)
let gateway: Gateway | undefined
const clients: RawMqttClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await gateway?.dispose()
})

const connect = async (clientId: string, clean: boolean): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(Number(gateway!.addresses.mqtt.split(':').at(-1)), { clientId, clean })
  clients.push(client)
  return client
}

/** Publishes numbers from `acked + 1` on until the connection ends; returns the last that was acknowledged. */
const publishUntilClosed = async (acked: number): Promise<number> => {
  const client = await connect('publisher', true)
  let sent = acked
  let acks = 0
  while (!client.closed) {
    while (sent < acked + acks + 20) {
      sent++
      client.publish('load/x', String(sent), 1, (sent % 60_000) + 1)
    }
    await client.waitCount('puback', acks + 1).catch(() => {})
    acks = client.packets.filter(({ cmd }) => cmd === 'puback').length
    client.packets.length = client.packets.length > 100_000 ? 0 : client.packets.length
  }
  return acked + acks
}

/** Acknowledges what comes until the connection ends or `wanted` is here; adds the numbers to `seen`. */
const follow = async (client: RawMqttClient, seen: number[], wanted = Number.POSITIVE_INFINITY): Promise<void> => {
  for (let at = 0; !client.closed && (seen.at(-1) ?? 0) < wanted; ) {
    if (at === client.packets.length)
      await client.waitFor(packet => client.packets.indexOf(packet) >= at).catch(() => {})
    for (; at < client.packets.length; at++) {
      const packet = client.packets[at]!
      if (packet.cmd !== 'publish') continue
      seen.push(Number(packet.payload.toString()))
      client.send({ cmd: 'puback', messageId: packet.messageId! })
    }
  }
}

/** Up to `last` without a hole; what comes again begins at something that was there before. */
const expectWhole = (seen: readonly number[], last: number): void => {
  let highest = 0
  for (const number of seen) {
    expect(number).toBeLessThanOrEqual(highest + 1)
    highest = Math.max(highest, number)
  }
  expect(highest).toBeGreaterThanOrEqual(last)
}

it(`keeps what subscribers have missed through ${kills} kills`, { timeout: 60_000 + kills * 20_000 }, async () => {
  gateway = await Gateway.start({ keepsAddresses: true })
  for (const name of ['here', 'away']) {
    const client = await connect(name, false)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'load/#', qos: 1 }] })
    await client.waitCount('suback', 1)
    client.destroy()
  }
  const here: number[] = []
  let acked = 0
  for (let kill = 1; kill <= kills; kill++) {
    const following = follow(await connect('here', false), here)
    const publishing = publishUntilClosed(acked)
    await new Promise(resolve => setTimeout(resolve, 300 + 400 * kill))
    await gateway.kill()
    acked = await publishing
    await following
    await gateway.restart()
  }
  expect(acked).toBeGreaterThan(100)
  await follow(await connect('here', false), here, acked)
  expectWhole(here, acked)
  const away: number[] = []
  const returned = await connect('away', false)
  expect(returned.packets[0]).toMatchObject({ sessionPresent: true })
  await follow(returned, away, acked)
  expectWhole(away, acked)
})

/** A subscriber with QoS 2 that does as the specification says, over all its connections. */
class Subscriber {
  readonly clientId: string
  /** Numbers as they came, of each topic. */
  readonly got = new Map<string, number[]>([
    ['load/1', []],
    ['load/2', []],
  ])
  /** QoS 2 packet ids between PUBLISH and PUBREL. */
  readonly #held = new Set<number>()

  constructor(clientId: string) {
    this.clientId = clientId
  }

  last(topic: string): number {
    return Math.max(0, ...this.got.get(topic)!.slice(-1))
  }

  /** Answers what comes until the connection ends, or `done`. */
  async follow(done: () => boolean = () => false): Promise<void> {
    const client = await connect(this.clientId, false)
    expect(client.packets[0]).toMatchObject({ sessionPresent: true })
    for (let at = 1; !client.closed && !done(); ) {
      await client.waitPast(at)
      for (; at < client.packets.length; at++) this.#take(client, client.packets[at]!)
    }
    client.destroy()
  }

  #take(client: RawMqttClient, packet: Packet): void {
    const messageId = packet.messageId!
    if (packet.cmd === 'pubrel') {
      this.#held.delete(messageId)
      client.send({ cmd: 'pubcomp', messageId })
    }
    if (packet.cmd !== 'publish') return
    if (this.#held.has(messageId)) expect(packet.dup, 'a packet id in use means the same publish').toBe(true)
    else this.got.get(packet.topic)!.push(Number(packet.payload.toString()))
    if (packet.qos === 2) this.#held.add(messageId)
    client.send({ cmd: packet.qos === 2 ? 'pubrec' : 'puback', messageId })
  }
}

interface Published {
  sent: number
  readonly acked: Set<number>
}

/** Publishes to `load/{qos}` until the connection ends; no number is published twice. */
const publishOnceUntilClosed = async (qos: 1 | 2, published: Published): Promise<void> => {
  const client = await connect(`publisher-${qos}`, true)
  const first = published.sent
  let acks = 0
  for (let at = 1; !client.closed; ) {
    while (published.sent - first < acks + 20) {
      published.sent++
      client.publish(`load/${qos}`, String(published.sent), qos, ((published.sent - first) % 60_000) + 1)
    }
    await client.waitPast(at)
    for (; at < client.packets.length; at++) {
      const { cmd, messageId } = client.packets[at]!
      if (cmd === 'pubrec') client.send({ cmd: 'pubrel', messageId: messageId! })
      if (cmd !== 'pubrec' && cmd !== 'puback') continue
      acks++
      published.acked.add(first + messageId! - 1)
    }
  }
}

it(`delivers QoS 2 exactly once through ${kills} kills, to who stays, who comes and goes, and who is away`, {
  timeout: 60_000 + kills * 20_000,
}, async () => {
  gateway = await Gateway.start({ keepsAddresses: true })
  const [stays, comes, away] = ['stays', 'comes', 'away'].map(name => new Subscriber(name))
  for (const { clientId } of [stays!, comes!, away!]) {
    const client = await connect(clientId, false)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'load/#', qos: 2 }] })
    await client.waitCount('suback', 1)
    client.destroy()
  }
  const published = ([1, 2] as const).map(() => ({ sent: 0, acked: new Set<number>() }))
  for (let kill = 1; kill <= kills; kill++) {
    const publishing = ([1, 2] as const).map(qos => publishOnceUntilClosed(qos, published[qos - 1]!))
    const staying = stays!.follow()
    let isOver = false
    const coming = (async () => {
      while (!isOver) {
        const until = comes!.last('load/2') + 50
        await comes!.follow(() => isOver || comes!.last('load/2') >= until).catch(() => {})
      }
    })()
    await new Promise(resolve => setTimeout(resolve, 300 + 400 * kill))
    isOver = true
    await gateway.kill()
    await Promise.all([...publishing, staying, coming])
    await gateway.restart()
  }
  const ends = published.map(({ acked }) => Math.max(...acked))
  for (const subscriber of [stays!, comes!, away!]) {
    await subscriber.follow(() => ends.every((end, index) => subscriber.last(`load/${index + 1}`) >= end))
    const [ones, twos] = [...subscriber.got.values()]
    for (const [index, numbers] of [ones!, twos!].entries()) {
      const seen = new Set(numbers)
      const missing = [...published[index]!.acked].filter(number => !seen.has(number))
      expect(missing, `${subscriber.clientId}, QoS ${index + 1}`).toEqual([])
    }
    expect(twos, subscriber.clientId).toEqual([...new Set(twos)].sort((one, other) => one - other))
    const firsts = [...new Set(ones)]
    expect(firsts, subscriber.clientId).toEqual([...firsts].sort((one, other) => one - other))
  }
  expect(published[1]!.acked.size).toBeGreaterThan(100)
})
