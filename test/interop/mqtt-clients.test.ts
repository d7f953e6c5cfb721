import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import mqtt from 'mqtt'
import { afterEach, describe, expect, test } from 'vitest'
import { pahoPython, requireClient } from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'

/** One story with MQTT clients that others wrote: live at every QoS, away and back with what was missed, retained. */

let gateway: Gateway

afterEach(() => gateway?.dispose())

const port = (): string => gateway.addresses.mqtt.split(':').at(-1)!
const versions = [3, 4, 5] as const

describe('Paho for Python', () => {
  for (const version of versions) {
    requireClient(pahoPython)(`version ${version}`, async () => {
      gateway = await Gateway.start()
      const [file, ...args] = pahoPython.command
      const { stdout } = await promisify(execFile)(file, [...args, port(), String(version)], { timeout: 120_000 })
      const user = version === 5 ? [['unit', 'C'], ['unit', 'F'], ['site', 'a']] : [] // biome-ignore format: pairs
      const row = (payload: string, qos: number, retain = false) => ['paho/x', payload, qos, retain, user]
      expect(JSON.parse(stdout)).toEqual({
        live: [row('live 0', 0), row('live 1', 1), row('live 2', 2)],
        missed: [row('missed 1', 1), row('missed 2', 2), row('kept', 2, version === 5)],
      })
    })
  }
})

describe('MQTT.js', () => {
  for (const version of versions) {
    test(`version ${version}`, async () => {
      gateway = await Gateway.start()
      const url = `mqtt://127.0.0.1:${port()}`
      const protocol =
        version === 3 ? ({ protocolId: 'MQIsdp', protocolVersion: 3 } as const) : { protocolVersion: version }
      const options = {
        ...protocol,
        clientId: 'subscriber',
        clean: false,
        reconnectPeriod: 100,
        ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }),
      }
      const got: string[] = []
      const subscriber = mqtt.connect(url, options)
      subscriber.on('message', (topic, payload, { qos, retain }) => got.push(`${topic} ${payload} ${qos} ${retain}`))
      await subscriber.subscribeAsync('js/#', { qos: 2 })
      const publisher = await mqtt.connectAsync(url, { ...protocol, clientId: 'publisher' })
      for (const qos of [0, 1, 2] as const) await publisher.publishAsync('js/x', 'live', { qos })
      await expect.poll(() => got.length).toBe(3)
      await subscriber.endAsync()
      for (const qos of [1, 2] as const) await publisher.publishAsync('js/x', 'missed', { qos })
      await publisher.publishAsync('js/kept', 'kept', { qos: 2, retain: true })
      subscriber.reconnect()
      await expect.poll(() => got.length).toBe(6)
      const late = await mqtt.connectAsync(url, { ...protocol, clientId: 'late' })
      const retained = new Promise(resolve => {
        late.once('message', (topic, payload, { retain }) => resolve([topic, payload.toString(), retain]))
      })
      await late.subscribeAsync('js/kept', { qos: 1 })
      expect(await retained).toEqual(['js/kept', 'kept', true])
      expect(got).toEqual([
        ...['js/x live 0 false', 'js/x live 1 false', 'js/x live 2 false'],
        ...['js/x missed 1 false', 'js/x missed 2 false', 'js/kept kept 2 false'],
      ])
      for (const client of [subscriber, publisher, late]) await client.endAsync(true)
    })
  }
})
