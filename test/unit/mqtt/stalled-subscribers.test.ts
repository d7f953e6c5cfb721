import { afterEach, expect, it } from 'vitest'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer } from '../../support/mqtt-server.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

/** A subscriber that takes nothing keeps memory that others wait for. */

const clock = new VirtualClock()
const payload = Buffer.alloc(100_000)
let server: MqttServer
const clients: RawMqttClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  const stopped = server.stop()
  await clock.advance(10_000)
  await stopped
})

/** Time stands still meanwhile; the test's own limit ends it when it never comes. */
const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await clock.advance(0)
}

const connect = async (clientId: string): Promise<RawMqttClient> => {
  const connecting = RawMqttClient.connect(server.port, { clientId })
  let connected: RawMqttClient | undefined
  void connecting.then(client => {
    connected = client
  })
  await until(() => connected !== undefined)
  clients.push(connected!)
  return connected!
}

const stalledSubscriber = async (): Promise<RawMqttClient> => {
  const subscriber = await connect('stalled')
  subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 0 }] })
  await until(() => subscriber.packets.some(({ cmd }) => cmd === 'suback'))
  subscriber.pause()
  return subscriber
}

/** Publishes until some of it stays in our memory. */
const fill = async (publisherId: string): Promise<void> => {
  const publisher = await connect(publisherId)
  for (let id = 1; server.memory.usedBytes < 500_000; id++) {
    publisher.publish('a/x', payload, 1, id)
    await until(() => publisher.packets.filter(({ cmd }) => cmd === 'puback').length === id)
  }
}

const cuts = (): number => server.metrics.count('mqttRefusedConnections', 'memory')

/** Takes what is left, and has a connection ask for more: it is not read until there is relief. */
const exhaust = async (): Promise<number> => {
  const taken = server.memory.limitBytes - server.memory.usedBytes
  const waiting = await connect('waiting')
  server.memory.take(taken)
  waiting.publish('b/x', 'v', 0)
  await until(() => server.memory.awaited)
  return taken
}

it('is cut after 30 seconds without progress, once others wait for memory, and not before', async () => {
  server = await MqttServer.start({ clock })
  await stalledSubscriber()
  await fill('publisher')
  await clock.advance(60_000)
  expect(cuts()).toBe(0)
  const taken = await exhaust()
  await clock.advance(6_000)
  expect(cuts()).toBe(1)
  expect(server.lines.some(({ fields }) => JSON.stringify(fields).includes('does not read'))).toBe(true)
  server.memory.give(taken)
  expect(server.memory.awaited).toBe(false)
})

it('has 30 seconds again from each time that it took something', async () => {
  server = await MqttServer.start({ clock })
  const subscriber = await stalledSubscriber()
  await fill('publisher 1')
  await clock.advance(26_000)
  const before = server.memory.usedBytes
  subscriber.resume()
  await until(() => server.memory.usedBytes < before)
  subscriber.pause()
  await fill('publisher 2')
  const taken = await exhaust()
  await clock.advance(15_000)
  expect(cuts()).toBe(0)
  await clock.advance(25_000)
  expect(cuts()).toBe(1)
  server.memory.give(taken)
})
