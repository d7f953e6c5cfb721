import mqtt, { type MqttClient } from 'mqtt'
import { afterEach, expect } from 'vitest'
import { freePort } from '../support/free-ports.ts'
import { Gateway } from '../support/gateway.ts'
import { Mosquitto } from '../support/mosquitto.ts'
import { MqttServer } from '../support/mqtt-server.ts'
import { requireTool } from '../support/tools.ts'

/** Mosquitto as a bridge to the gateway: `up/#` goes from its clients to ours, `down/#` from ours to its, QoS 2 at most. */

const test = requireTool('mosquitto')
let gateway: Gateway | undefined
let server: MqttServer | undefined
const bridges: Mosquitto[] = []
const clients: MqttClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true)
  for (const bridge of bridges.splice(0)) await bridge.dispose()
  await gateway?.dispose()
  await server?.stop()
  ;[gateway, server] = [undefined, undefined]
})

// MQTT.js does not keep to a Receive Maximum, and Mosquitto has one of 20: not version 5
const connect = async (port: number): Promise<MqttClient> => {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4, reconnectPeriod: 200 })
  clients.push(client)
  return client
}

/** Payloads that the client gets from now on, once its subscription stands. */
async function listen(client: MqttClient, filter: string): Promise<string[]> {
  const got: string[] = []
  client.on('message', (_topic, payload) => got.push(payload.toString()))
  await client.subscribeAsync(filter, { qos: 2 })
  return got
}

const startBridge = async (port: number, version: string): Promise<Mosquitto> => {
  const bridge = await Mosquitto.start(...bridgeLines(port, version))
  bridges.push(bridge)
  return bridge
}

const bridgeLines = (port: number, version: string): string[] => [
  // Mosquitto 2.0.11 forgets what it has queued at QoS 2 behind its default of 20
  'max_inflight_messages 1000',
  'connection gateway',
  `address 127.0.0.1:${port}`,
  `bridge_protocol_version ${version}`,
  'cleansession false',
  'restart_timeout 1',
  'topic up/# out 2',
  'topic down/# in 2',
]

/** Has the bridge subscribed at the gateway? */
const isUp = async (near: MqttClient, far: MqttClient): Promise<void> => {
  const got = await listen(far, 'down/probe')
  const probed = async (): Promise<number> => {
    await near.publishAsync('down/probe', 'probe', { qos: 1 })
    return got.length
  }
  await expect.poll(probed).toBeGreaterThan(0)
  await far.unsubscribeAsync('down/probe')
}

for (const version of ['mqttv31', 'mqttv311', 'mqttv50']) {
  test(`a bridge with ${version} carries both directions, each publish once and in order`, async () => {
    gateway = await Gateway.start()
    const port = Number(gateway.addresses.mqtt.split(':').at(-1))
    const bridge = await startBridge(port, version)
    const near = await connect(port)
    const far = await connect(bridge.port)
    await isUp(near, far)
    const up = await listen(near, 'up/#')
    const down = await listen(far, 'down/#')
    const numbers = Array.from({ length: 100 }, (_, index) => String(index))
    for (const number of numbers) {
      far.publish('up/sensor', number, { qos: 2 })
      near.publish('down/valve', number, { qos: 2 })
    }
    await expect.poll(() => [up.length, down.length]).toEqual([100, 100])
    expect([up, down]).toEqual([numbers, numbers])
  })
}

test('what is published while the other side is away waits for it', async () => {
  const settings = { 'mqtt.listen': [{ scheme: 'mqtt', host: '127.0.0.1', port: await freePort() }] }
  server = await MqttServer.start({ settings })
  // with MQTT 5 Mosquitto 2.0.11 asks for no session
  const bridge = await startBridge(server.port, 'mqttv311')
  const near = await connect(server.port)
  await isUp(near, await connect(bridge.port))
  await bridge.stop()
  for (const number of ['1', '2', '3']) await near.publishAsync('down/valve', number, { qos: 2 })
  await bridge.start()
  const arrived = /Received PUBLISH from \S+ \(d0, q2, r0, m\d+, 'down\/valve'/g
  await expect.poll(() => bridge.log.match(arrived)?.length).toBe(3)

  const { log } = server
  await server.stop()
  const far = await connect(bridge.port)
  for (const number of ['a', 'b', 'c']) await far.publishAsync('up/sensor', number, { qos: 2 })
  server = await MqttServer.start({ settings, log })
  const values = async (): Promise<string[]> => (await server!.records('up')).map(({ value }) => value!.toString())
  await expect.poll(values).toEqual(['a', 'b', 'c'])
})
