import type { Recording } from './recording.ts'

/**
 * Tasmota as it comes, after power on. https://github.com/arendst/Tasmota at 00c063941fddf11ed52cbc2017c2f0c7eb0d00ca:
 * `tasmota/tasmota_xdrv_driver/xdrv_02_9_mqtt.ino` (MqttReconnect, MqttConnected), flags and packet identifiers as its PubSubClient
 * writes them (https://github.com/knolleary/pubsubclient 2.8, connect and subscribe), names and user by `tasmota/my_user_config.h`.
 */
export const tasmota: Recording = {
  connect: `10 4f 0004 'MQTT' 04 ee 001e 000b 'DVES_1A2B3C'
    0017 'tele/tasmota_1A2B3C/LWT' 0007 'Offline' 0009 'DVES_USER' 0009 'DVES_PASS'`,
  connack: '20 02 00 00',
  exchange: [
    { sends: `31 1f 0017 'tele/tasmota_1A2B3C/LWT' 'Online'` },
    // an empty command, for the sake of ioBroker, before it listens itself
    { sends: `30 1b 0019 'cmnd/tasmota_1A2B3C/POWER'` },
    { sends: `82 1a 0002 0015 'cmnd/tasmota_1A2B3C/#' 00`, hears: '90 03 0002 00' },
    { sends: `82 14 0003 000f 'cmnd/tasmotas/#' 00`, hears: '90 03 0003 00' },
    { sends: `82 1a 0004 0015 'cmnd/DVES_1A2B3C_fb/#' 00`, hears: '90 03 0004 00' },
    { sends: `30 50 0019 'tele/tasmota_1A2B3C/INFO3' '{"Info3":{"RestartReason":"Power On","BootCount":12}}'` },
    { sends: `30 2b 001a 'stat/tasmota_1A2B3C/RESULT' '{"POWER":"OFF"}'` },
    { sends: `30 1e 0019 'stat/tasmota_1A2B3C/POWER' 'OFF'` },
    { sends: 'c0 00', hears: 'd0 00' },
  ],
}

/** What somebody publishes to switch it, as it hears it; and its answers. */
export const toggle = {
  hears: `30 21 0019 'cmnd/tasmota_1A2B3C/POWER' 'TOGGLE'`,
  sends: [`30 2a 001a 'stat/tasmota_1A2B3C/RESULT' '{"POWER":"ON"}'`, `30 1d 0019 'stat/tasmota_1A2B3C/POWER' 'ON'`],
}
