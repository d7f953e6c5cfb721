import { BrokerError } from '../../core/errors.ts'
import { sleep } from '../../platform/clock.ts'
import { ackTypes } from '../../wire/mqtt/acks.ts'
import { decodeAck } from '../../wire/mqtt/client-packets.ts'
import type { Client } from '../client.ts'
import { reasonCodes } from '../errors.ts'

const retryAfterMs = 50

/** PUBACK: the client has a QoS 1 publish. */
export function handlePuback(client: Client, bytes: Buffer, start: number, end: number): void {
  const { packetId, reasonCode } = decodeAck(bytes, start, end, client.version)
  client.session.flow.acknowledged(packetId, reasonCode)
}

/** PUBREC: the client has a QoS 2 publish. */
export function handlePubrec(client: Client, bytes: Buffer, start: number, end: number): void {
  const { packetId, reasonCode } = decodeAck(bytes, start, end, client.version)
  client.session.flow.received(packetId, reasonCode)
}

/** PUBCOMP: a QoS 2 publish to the client is done. */
export function handlePubcomp(client: Client, bytes: Buffer, start: number, end: number): void {
  client.session.flow.completed(decodeAck(bytes, start, end, client.version).packetId)
}

/** PUBREL: a QoS 2 publish of the client is done. PUBCOMP leaves once its packet id is released for good. [MQTT-4.3.3-11] */
export function handlePubrel(client: Client, bytes: Buffer, start: number, end: number): void {
  const { packetId } = decodeAck(bytes, start, end, client.version)
  if (!release(client, packetId)) client.connection.wait(releaseLater(client, packetId))
}

/** False: the log has no room for it just now. */
function release(client: Client, packetId: number): boolean {
  const { state } = client.connection.services
  try {
    // [MQTT-3.7.2-1] [MQTT-4.3.3-12] [MQTT-4.3.3-13]
    // an id that is not held was released before: a PUBREL that is repeated after a reconnect is no error
    const group = state.release(client.clientId, packetId)
    client.acknowledge(ackTypes.pubcomp, packetId, reasonCodes.success, group)
    return true
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    if (error.kind === 'memoryFull' || error.kind === 'storageFull') return false
    client.connection.abandon(error)
    return true
  }
}

/** An id that cannot be released yet is not forgotten: the client waits for PUBCOMP. */
async function releaseLater(client: Client, packetId: number): Promise<void> {
  const { clock } = client.connection.services
  do await sleep(clock, retryAfterMs)
  while (!client.connection.isClosed && !release(client, packetId))
}
