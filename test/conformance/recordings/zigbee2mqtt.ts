import type { Recording } from './recording.ts'

const configTopic = `003a 'homeassistant/sensor/0x00158d0001dc126a/temperature/config'`
const config =
  `'{"device_class":"temperature","state_topic":"zigbee2mqtt/kitchen","unique_id":"0x00158d0001dc126a_temperature_zigbee2mqtt",` +
  `"unit_of_measurement":"°C","value_template":"{{ value_json.temperature }}"}'`

/** What it keeps for those who come later, as they are sent it with QoS 0. */
export const kept = {
  online: `31 2c 0018 'zigbee2mqtt/bridge/state' '{"state":"online"}'`,
  offline: `31 2d 0018 'zigbee2mqtt/bridge/state' '{"state":"offline"}'`,
  info: `31 2d 0017 'zigbee2mqtt/bridge/info' '{"version":"1.40.0"}'`,
  config: `31 8302 ${configTopic} ${config}`,
}

export const reading = `30 3a 0013 'zigbee2mqtt/kitchen' '{"linkquality":96,"temperature":21.5}'`

/**
 * Zigbee2MQTT at its start, with one sensor. https://github.com/Koenkk/zigbee2mqtt at 002050f35bd6228a464482d17a7feee82f9f5d31:
 * `lib/mqtt.ts` (connect, onConnect, publish), `lib/extension/homeassistant.ts` (discovery: retained, QoS 1), payloads shortened. MQTT.js,
 * its client, makes up client id and first packet identifier. It subscribes to its own topics, and so hears itself.
 */
export const zigbee2mqtt: Recording = {
  connect: `10 4a 0004 'MQTT' 04 2e 003c 000f 'mqttjs_8a3f5c01' 0018 'zigbee2mqtt/bridge/state' 0013 '{"state":"offline"}'`,
  connack: '20 02 00 00',
  exchange: [
    { sends: kept.online },
    { sends: `82 12 1f4c 000d 'zigbee2mqtt/#' 00`, hears: `90 03 1f4c 00 ` },
    { sends: '', hears: kept.online },
    { sends: `33 8502 ${configTopic} 1f4d ${config}`, hears: '40 02 1f4d' },
    // live, hence without the retain flag
    { sends: kept.info, hears: kept.info.replace('31', '30') },
    { sends: reading, hears: reading },
  ],
}
