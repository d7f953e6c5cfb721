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
  gateway = await Gateway.start()
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
    await gateway.restart({ settings: { 'mqtt.listen': `mqtt://${gateway.addresses.mqtt}` } })
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
