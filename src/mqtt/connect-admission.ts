import type { Client, ConnectPacket } from 'aedes'
import { topicNameFault } from '../wire/mqtt/topic-name.ts'
import type { MqttConnection } from './connection.ts'
import type { MemoryShare } from './memory-share.ts'

export interface ConnectAdmissionParts {
  /** Wills of all clients. */
  readonly willMemory: MemoryShare
  readonly connectionOf: (client: Client) => MqttConnection | undefined
}

/** It stands in every record of the client. MQTT asks for 23. */
const maxClientIdBytes = 1024
/** A will that is published later stays when its connection is gone; the number of these is bounded by `mqtt.sessions.max`. */
const maxDelayedWillBytes = 4096
/** CONNACK of 3.1.1: identifier rejected, server unavailable; the engine says it in MQTT 5's words to those clients. */
const identifierRejected = 2
const serverUnavailable = 3

const refused = (message: string, returnCode: number): Error => Object.assign(new Error(message), { returnCode })

/** Checks of CONNECT that the session engine does not make. */
export class ConnectAdmission {
  readonly #parts: ConnectAdmissionParts
  readonly #willBytes = new WeakMap<object, number>()

  constructor(parts: ConnectAdmissionParts) {
    this.#parts = parts
  }

  /** Before anything else: an error closes the connection without a CONNACK, as for what is malformed. */
  malformed(packet: ConnectPacket): Error | undefined {
    // [MQTT-1.5.4-2]
    if (/[\0\uFFFD]/.test(packet.clientId)) return new Error('the client id is not well-formed UTF-8')
    const fault = packet.will === undefined ? undefined : topicNameFault(packet.will.topic)
    return fault === undefined ? undefined : new Error(`will: ${fault}`)
  }

  /** Takes note of the will of a CONNECT that is not malformed. */
  seen(client: Client, { will }: ConnectPacket): void {
    if (will === undefined) return
    const { payload, topic, properties } = will as typeof will & { properties?: { willDelayInterval?: number } }
    const bytes = payload.length + topic.length + JSON.stringify(properties ?? {}).length
    this.#willBytes.set(
      client,
      (properties?.willDelayInterval ?? 0) > 0 && bytes > maxDelayedWillBytes ? Infinity : bytes,
    )
  }

  /** Why the client cannot be connected; the error has the return code for CONNACK. Else its will is accounted for until it is gone. */
  refusal(client: Client): Error | undefined {
    const { willMemory, connectionOf } = this.#parts
    if (Buffer.byteLength(client.id) > maxClientIdBytes)
      return refused(`the client id has more than ${maxClientIdBytes} bytes`, identifierRejected)
    const bytes = this.#willBytes.get(client) ?? 0
    if (bytes === 0) return undefined
    if (!willMemory.hasRoom(bytes)) return refused('no memory for its will', serverUnavailable)
    const connection = connectionOf(client)
    if (connection === undefined || connection.stream.destroyed) return undefined
    willMemory.hold(bytes)
    connection.stream.once('close', () => willMemory.hold(-bytes))
    return undefined
  }
}
