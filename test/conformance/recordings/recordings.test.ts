import { expect } from 'vitest'
import { testCases } from '../cases.ts'
import { payloads, type Stage } from '../stage.ts'
import { birth, homeAssistant, subscribe } from './home-assistant.ts'
import { bytesOf, hear, play, type Recording } from './recording.ts'
import { tasmota, toggle } from './tasmota.ts'
import { kept, reading, zigbee2mqtt } from './zigbee2mqtt.ts'

/** Home Assistant finds what Zigbee2MQTT has left there, before it has said its own first word. */
async function discovers(stage: Stage) {
  const { exchange, ...connect } = homeAssistant
  const client = await play(stage, { ...connect, exchange: [] })
  client.send(bytesOf(exchange[0]!.sends))
  await hear(client, exchange[0]!.hears!, kept.config)
  client.send(bytesOf(birth), bytesOf(subscribe.sends))
  await hear(client, subscribe.hears)
  return client
}

const idOf = ({ connect }: Recording): string => connect.match(/'[^']*'/g)![1]!.slice(1, -1)

testCases('recorded packets', [
  {
    name: 'Tasmota starts, is switched, and its will replaces its birth when it loses power',
    async run(stage) {
      const watcher = await stage.client('watcher')
      await watcher.subscribe('tele/+/LWT', 1)
      await watcher.subscribe('stat/#', 1)
      const device = await play(stage, tasmota)
      expect(payloads(await stage.untaken(watcher))).toEqual(['Online', '{"POWER":"OFF"}', 'OFF'])
      await watcher.publish('cmnd/tasmota_1A2B3C/POWER', 'TOGGLE', 1)
      await hear(device, toggle.hears)
      device.send(...toggle.sends.map(bytesOf))
      await device.ping()
      await stage.lose(device, idOf(tasmota))
      expect(payloads(await stage.untaken(watcher))).toEqual(['{"POWER":"ON"}', 'ON', 'Offline'])
      const late = await stage.client('late')
      await late.subscribe('tele/#', 1)
      expect(await stage.untaken(late)).toMatchObject([
        { topic: 'tele/tasmota_1A2B3C/LWT', payload: 'Offline', retain: true },
      ])
    },
  },
  {
    name: 'Zigbee2MQTT announces a sensor, Home Assistant discovers it, readings arrive',
    async run(stage) {
      const bridge = await play(stage, zigbee2mqtt)
      const home = await discovers(stage)
      await hear(home, kept.online)
      bridge.send(bytesOf(reading))
      await hear(bridge, reading)
      await hear(home, reading)
      await stage.lose(bridge, idOf(zigbee2mqtt))
      await hear(home, kept.offline.replace('31', '30'))
    },
  },
  {
    name: 'Home Assistant ends without DISCONNECT, so that its will is published; it is not kept',
    async run(stage) {
      const watcher = await stage.client('watcher')
      await watcher.subscribe('homeassistant/status', 1)
      await play(stage, { ...homeAssistant, exchange: [...homeAssistant.exchange, { sends: birth }] }).then(client =>
        stage.lose(client, idOf(homeAssistant)),
      )
      expect(payloads(await stage.untaken(watcher))).toEqual(['online', 'offline'])
      const late = await stage.client('late')
      await late.subscribe('homeassistant/#', 1)
      expect(await stage.untaken(late)).toEqual([])
    },
  },
  {
    name: 'what is retained is there after the gateway has started again, for programs that ask at once',
    async run(stage) {
      const bridge = await play(stage, zigbee2mqtt)
      const device = await play(stage, tasmota)
      await stage.lose(device, idOf(tasmota))
      await bridge.ping()
      const durable = await stage.client('durable')
      await durable.publish('marker', '', 1)
      await stage.restart(stage.server.log)
      const home = await discovers(stage)
      await hear(home, kept.offline)
      const late = await stage.client('late')
      await late.subscribe('tele/+/LWT', 1)
      expect(await stage.untaken(late)).toMatchObject([{ payload: 'Offline', retain: true }])
    },
  },
])
