import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt'
import { afterEach, describe, expect } from 'vitest'
import { nodeRed, requireClient } from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'
import { NodeRed } from '../support/node-red.ts'

/** A flow in Node-RED sends back under `red/out` whatever comes under `red/in`, as it came. */

let gateway: Gateway
let program: NodeRed | undefined
let client: MqttClient | undefined

afterEach(async () => {
  await client?.endAsync(true)
  await program?.dispose()
  await gateway?.dispose()
  client = undefined
  program = undefined
})

const echoFlow = (port: number, version: number): readonly object[] => [
  { id: 'tab', type: 'tab', label: 'echo' },
  {
    id: 'broker',
    type: 'mqtt-broker',
    broker: '127.0.0.1',
    port: String(port),
    clientid: 'node-red',
    autoConnect: true,
    usetls: false,
    protocolVersion: String(version),
    keepalive: '60',
    cleansession: false,
    sessionExpiry: '3600',
    ...{ birthTopic: 'red/state', birthPayload: 'online', birthQos: '1', birthRetain: 'true', birthMsg: {} },
    ...{ willTopic: 'red/state', willPayload: 'offline', willQos: '1', willRetain: 'true', willMsg: {} },
  },
  {
    ...{ id: 'in', type: 'mqtt in', z: 'tab', broker: 'broker', inputs: 0, wires: [['rename']] },
    ...{ topic: 'red/in/#', qos: '2', datatype: 'buffer', nl: false, rap: true, rh: 0 },
  },
  {
    ...{ id: 'rename', type: 'change', z: 'tab', wires: [['out']] },
    rules: [{ t: 'change', p: 'topic', pt: 'msg', from: 'red/in/', fromt: 'str', to: 'red/out/', tot: 'str' }],
  },
  // topic, QoS, retain and properties are those of what comes in
  { id: 'out', type: 'mqtt out', z: 'tab', broker: 'broker', topic: '', qos: '', retain: '', wires: [] },
]

const properties = {
  contentType: 'application/octet-stream',
  responseTopic: 'red/answers',
  correlationData: Buffer.from('77'),
  messageExpiryInterval: 3600,
  userProperties: { unit: 'C', site: 'a' },
}
// less the seconds that the gateway held it
const echoed = { ...properties, messageExpiryInterval: expect.toSatisfy((left: number) => left > 3000 && left <= 3600) }

const test = requireClient(nodeRed)

describe('Node-RED', () => {
  for (const version of [4, 5] as const) {
    const is5 = version === 5
    const more = is5 ? { properties } : {}
    const echo = is5 ? { properties: echoed } : {}

    test(`version ${version}: a flow echoes every QoS and retained ones, and goes on after kill -9 of the gateway`, async () => {
      gateway = await Gateway.start({ keepsAddresses: true })
      const port = Number(gateway.addresses.mqtt.split(':').at(-1))
      client = await mqtt.connectAsync(gateway.mqttUrl, { protocolVersion: version, reconnectPeriod: 200 })
      const got = new Map<string, IPublishPacket[]>()
      client.on('message', (topic, _payload, packet) => got.set(topic, [...(got.get(topic) ?? []), packet]))
      const newest = (topic: string): string | undefined => got.get(topic)?.at(-1)?.payload.toString()
      const comes = (topic: string, payload: string) =>
        expect.poll(() => newest(topic), { message: `${topic}\n${program?.log}` }).toBe(payload)
      await client.subscribeAsync({ 'red/out/#': { qos: 2, rap: true }, 'red/state': { qos: 1 } })
      await client.publishAsync('red/in/kept', 'kept', { qos: 1, retain: true, ...more })

      program = await NodeRed.start(echoFlow(port, version))
      await comes('red/state', 'online')
      await comes('red/out/kept', 'kept')
      for (const qos of [0, 1, 2] as const) await client.publishAsync(`red/in/${qos}`, 'live', { qos, ...more })
      for (const qos of [0, 1, 2] as const) {
        await comes(`red/out/${qos}`, 'live')
        expect(got.get(`red/out/${qos}`)).toMatchObject([{ qos, retain: false, payload: Buffer.from('live'), ...echo }])
      }
      // a subscriber with MQTT 3.1.1 sees the retain flag only of what was there before it came
      expect(got.get('red/out/kept')).toMatchObject([{ qos: 1, retain: is5, ...echo }])

      got.clear()
      await gateway.kill()
      await gateway.restart()
      // at the end of its session's queue, or live: whoever is back first
      await client.publishAsync('red/in/2', 'after', { qos: 2, ...more })
      await comes('red/state', 'online')
      await comes('red/out/2', 'after')
      await program.kill()
      await comes('red/state', 'offline')
    })
  }
})
