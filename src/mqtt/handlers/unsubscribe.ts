import { decodeUnsubscribe } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { encodeUnsuback, filterAckBytes } from '../../wire/mqtt/server-packets.ts'
import type { Client } from '../client.ts'
import { reasonCodes } from '../errors.ts'
import { isReplay } from '../replay-filter.ts'
import { filterFault } from '../subscription.ts'

/** UNSUBSCRIBE, section 3.10: what is on its way already may still come. [MQTT-3.10.4-3] */
export function handleUnsubscribe(client: Client, bytes: Buffer, start: number, end: number): void {
  const { packetId, filters } = decodeUnsubscribe(bytes, start, end, client.version)
  const { session, connection } = client
  const { sessions, replays, sessionLog } = connection.services
  // [MQTT-3.1.2-24]
  if (!client.takes(filterAckBytes(filters.length)))
    throw new ProtocolViolation('packetTooLarge', 'its UNSUBACK would be larger than the client takes')
  // [MQTT-3.10.4-6] [MQTT-3.11.3-1]
  const codes = filters.map(filter => {
    const fault = filterFault(filter)
    if (fault !== undefined) throw new ProtocolViolation('topicFilterInvalid', `cannot unsubscribe: ${fault}`)
    // [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.11.3-2]
    const existed = isReplay(filter) ? replays.end(client, filter) : sessions.unsubscribe(session, filter)
    return existed ? reasonCodes.success : reasonCodes.noSubscriptionExisted
  })
  // [MQTT-3.10.4-4]
  connection.whenDurable(sessionLog.save(session), () =>
    connection.write(encodeUnsuback(client.version, packetId, codes)),
  )
}
