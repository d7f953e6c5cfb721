import { decodeReason } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import type { Client } from '../client.ts'
import { reasonCodes } from '../errors.ts'
import { expiryMs } from './connect.ts'

/** DISCONNECT, section 3.14: the client goes, and its will with it unless it asks for it. [MQTT-3.14.4-3] */
export function handleDisconnect(client: Client, bytes: Buffer, start: number, end: number): void {
  const { reasonCode, properties } = decodeReason('disconnect', bytes, start, end, client.version)
  const { connection, session } = client
  const { wills, limits, sessions } = connection.services
  const { sessionExpiryInterval } = properties
  if (sessionExpiryInterval !== undefined) {
    const before = client.properties.sessionExpiryInterval ?? 0
    // section 3.14.2.2.2: a session that was to end with the connection does
    if (before === 0 && sessionExpiryInterval > 0)
      throw new ProtocolViolation('protocolError', 'DISCONNECT gives a session time that CONNECT did not')
    sessions.setExpiry(session, expiryMs(sessionExpiryInterval, limits.sessionExpiryMaxMs))
  }
  if (client.will !== undefined && reasonCode === reasonCodes.success) {
    // [MQTT-3.1.2-10]
    wills.forget(client.will)
    client.will = undefined
  }
  connection.destroy()
}
