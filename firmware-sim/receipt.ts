import { decodePayload, matchTopic, profiles } from '../devices/index.ts'
import type { Receipt } from './comparison.ts'

/**
 * The receipt for one publish as a consumer sees it: MQTT topic and payload. Undefined where the topic is no profile's or the
 * payload does not keep what its profile promises.
 */
export const receiptOf = (mqttTopic: string, payload: Uint8Array): Receipt | undefined => {
  for (const profile of profiles) {
    const device = matchTopic(profile.mqttTopic, mqttTopic)?.['device']
    if (device === undefined) continue
    const decoded = decodePayload(profile, payload)
    return decoded.ok ? { device, seq: decoded.reading.seq } : undefined
  }
  return undefined
}
