import type { Recording } from './recording.ts'

/**
 * Home Assistant at its start. https://github.com/home-assistant/core at 003d279ff49f500fd644bccc08fc6f31ba60b6ea:
 * `homeassistant/components/mqtt/client.py` (MqttClientSetup, async_start, _async_perform_subscriptions), `discovery.py` (async_start: the
 * topics), `const.py` (DEFAULT_BIRTH, DEFAULT_WILL: QoS 0, not retained). Paho for Python writes the packets and numbers them from 1; the
 * client id is 22 random letters and digits.
 */
export const homeAssistant: Recording = {
  connect: `10 41 0004 'MQTT' 04 06 003c 0016 '5pQEqTc0nJ8ovRkYmZ2wXa' 0014 'homeassistant/status' 0007 'offline'`,
  connack: '20 02 00 00',
  exchange: [
    {
      sends: `82 3a 0001 0018 'homeassistant/+/+/config' 00 001a 'homeassistant/+/+/+/config' 00`,
      hears: '90 04 0001 00 00',
    },
  ],
}

/** Once it has heard of devices. */
export const birth = `30 1c 0014 'homeassistant/status' 'online'`

/** The topics that the discovered sensor names. */
export const subscribe = {
  sends: `82 33 0002 0018 'zigbee2mqtt/bridge/state' 00 0013 'zigbee2mqtt/kitchen' 00`,
  hears: '90 04 0002 00 00',
}
