import { expect } from 'vitest'
import { packet, publish, readPacket, text } from '../support/mqtt-wire.ts'
import { testCases } from './cases.ts'

/** What other programs do that the specification does not speak of. */
testCases('neighbours', [
  {
    // mosquitto.conf(5): try_private and notifications are on unless they are switched off; test/interop/mqtt-bridge has the real one
    name: 'a bridge of Mosquitto, with its bit in the protocol level, tells its state under $SYS and goes on',
    async run(stage) {
      const bridge = await stage.open(4)
      const topic = '$SYS/broker/connection/bridge/state'
      const will = [text(topic), text('0')]
      const flags = 0x2c // a will, retained, QoS 1
      bridge.send(packet('connect', 0, text('MQTT'), Buffer.of(0x84, flags, 0, 60), text('bridge'), ...will))
      expect(await bridge.take('connack')).toMatchObject({ reason: 0, sessionPresent: false })
      const puback = await bridge.publish(topic, '1', 1, { retain: true })
      expect(readPacket(puback!.bytes, 4)).toMatchObject({ type: 'puback', reason: 0 })
      bridge.send(publish({ version: 4, topic, payload: '1', qos: 2, id: 9 }))
      await bridge.take('pubrec', 9)
      const seen = await stage.client('seen')
      await seen.subscribe('$SYS/broker/connection/#', 1)
      expect(await stage.untaken(seen)).toEqual([])
      expect(stage.server.metrics.count('mqttRefused', 'notAuthorized')).toBe(2)
      expect(await bridge.ping()).toEqual([])
    },
  },
])
