import { decodeReason, type ReasonPacket } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { encodeAuth } from '../../wire/mqtt/server-packets.ts'
import type { Client } from '../client.ts'
import type { AuthenticationExchange } from '../enhanced-authentication.ts'
import { reasonCodes } from '../errors.ts'

/** Exchanges in which connected clients authenticate again. */
const exchanges = new WeakMap<Client, AuthenticationExchange>()

/** AUTH of a connected client, section 4.12.1: it authenticates again, by the method of its CONNECT. [MQTT-4.12.1-1] */
export function handleAuth(client: Client, bytes: Buffer, start: number, end: number): void {
  if (client.version !== 5) throw new ProtocolViolation('protocolError', 'AUTH is of MQTT 5')
  const packet = decodeReason('auth', bytes, start, end, client.version)
  const method = client.properties.authenticationMethod
  checkMethod(packet, method)
  if (packet.reasonCode === reasonCodes.reauthenticate) {
    const exchange = client.connection.services.authentication?.begin(method!, client.clientId)
    if (exchange === undefined) throw new ProtocolViolation('badAuthenticationMethod', `method ${method} is not known`)
    exchanges.set(client, exchange)
  } else if (packet.reasonCode !== reasonCodes.continueAuthentication) {
    throw new ProtocolViolation('protocolError', `a client does not send AUTH with reason ${packet.reasonCode}`)
  }
  const exchange = exchanges.get(client)
  if (exchange === undefined) throw new ProtocolViolation('protocolError', 'AUTH without an exchange')
  client.connection.wait(goOn(client, method!, exchange, packet.properties.authenticationData))
}

/** [MQTT-4.12.0-5]: every AUTH of an exchange names the method of the CONNECT. */
export function checkMethod({ properties }: ReasonPacket, method: string | undefined): void {
  // [MQTT-4.12.0-7]
  if (method === undefined || properties.authenticationMethod !== method)
    throw new ProtocolViolation('protocolError', 'AUTH with another method than CONNECT')
}

async function goOn(
  client: Client,
  method: string,
  exchange: AuthenticationExchange,
  data: Buffer | undefined,
): Promise<void> {
  const step = await exchange.step(data)
  const { connection } = client
  if (step.kind === 'failure') {
    // [MQTT-4.12.1-2]
    connection.close('authentication', step.reason, reasonCodes.notAuthorized)
    return
  }
  if (step.kind === 'success') exchanges.delete(client)
  // [MQTT-3.15.2-1]
  const reasonCode = step.kind === 'success' ? reasonCodes.success : reasonCodes.continueAuthentication
  const answer = step.data === undefined ? {} : { authenticationData: step.data }
  connection.write(encodeAuth(reasonCode, { authenticationMethod: method, ...answer }))
}
