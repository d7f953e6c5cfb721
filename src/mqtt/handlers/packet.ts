import { foreignProtocol } from '../../wire/foreign-protocol.ts'
import { checkPingreq, packetTypes } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { pingresp } from '../../wire/mqtt/server-packets.ts'
import type { Client } from '../client.ts'
import type { MqttConnection } from '../connection.ts'
import { handlePuback, handlePubcomp, handlePubrec, handlePubrel } from './acknowledgements.ts'
import { handleAuth } from './auth.ts'
import { handleConnect, handleConnectAuth } from './connect.ts'
import { handleDisconnect } from './disconnect.ts'
import { handleSubscribe } from './subscribe.ts'
import { handleUnsubscribe } from './unsubscribe.ts'

/** Handles the frame `bytes[start, end)`. What is wrong with it throws `ProtocolViolation` or `MalformedFrame`. */
type PacketHandler = (client: Client, bytes: Buffer, start: number, end: number) => void

/** What a client may send after CONNECT; PUBLISH is taken before it comes here. */
const handlers: Readonly<Record<number, PacketHandler>> = {
  [packetTypes.puback]: handlePuback,
  [packetTypes.pubrec]: handlePubrec,
  [packetTypes.pubrel]: handlePubrel,
  [packetTypes.pubcomp]: handlePubcomp,
  [packetTypes.subscribe]: handleSubscribe,
  [packetTypes.unsubscribe]: handleUnsubscribe,
  [packetTypes.disconnect]: handleDisconnect,
  [packetTypes.auth]: handleAuth,
  [packetTypes.pingreq]: (client, bytes, start, end) => {
    checkPingreq(bytes, start, end)
    // [MQTT-3.12.4-1]
    client.connection.write(pingresp)
  },
}

/** Any packet but a PUBLISH of a connected client. */
export function handlePacket(connection: MqttConnection, bytes: Buffer, start: number, end: number): void {
  const type = bytes[start]! >> 4
  const { client } = connection
  if (client === undefined) {
    const { connecting } = connection
    if (connecting !== undefined && type === packetTypes.auth) {
      connection.connecting = undefined
      handleConnectAuth(connection, connecting, bytes, start, end)
      return
    }
    // [MQTT-3.1.2-30]
    if (connecting !== undefined) throw new ProtocolViolation('protocolError', 'CONNECT waits for AUTH')
    // [MQTT-3.1.0-1]
    const protocol = foreignProtocol(bytes, start)
    // the first byte of a TLS handshake has the type of CONNECT
    if (type !== packetTypes.connect || protocol === 'TLS') {
      const hint = protocol === undefined ? '' : `; this looks like ${protocol}`
      throw new ProtocolViolation('protocolError', `the first packet is not CONNECT${hint}`)
    }
    handleConnect(connection, bytes, start, end)
    return
  }
  const handler = handlers[type]
  // [MQTT-3.1.0-2] for CONNECT [MQTT-3.2.0-2]
  if (handler === undefined)
    throw new ProtocolViolation('protocolError', `a client does not send packet type ${type} now`)
  handler(client, bytes, start, end)
}
