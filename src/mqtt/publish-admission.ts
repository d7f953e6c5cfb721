import type { Client, PublishPacket } from 'aedes'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { encodeRefusal } from '../wire/mqtt/acks.ts'
import type { CloseLog } from './close-log.ts'
import type { MqttConnection } from './connection.ts'
import type { DurableWork } from './durable-work.ts'
import { discardedTopic } from './emitter.ts'
import { pubackReason, reasonCodes } from './errors.ts'
import type { EnginePublish, PublishGate } from './publish-gate.ts'

export interface PublishAdmissionParts {
  readonly gate: PublishGate
  readonly work: DurableWork
  readonly closeLog: CloseLog
  readonly clock: Clock
  readonly metrics: Metrics
  readonly connectionOf: (client: Client) => MqttConnection | undefined
}

type Done = (error?: Error | null) => void

/** A publish that waits is tried again so often while the log has no room for it. */
const retryAfterMs = 10

/**
 * The session engine's `authorizePublish`: a publish or will is stored, and its callback comes after the sync. What cannot be stored is
 * refused in the words of the client's protocol version.
 */
export class PublishAdmission {
  readonly #parts: PublishAdmissionParts
  readonly #stalled: (() => boolean)[] = []

  constructor(parts: PublishAdmissionParts) {
    this.#parts = parts
  }

  /** Never calls back before it returns: the engine would ask for more while it still has packets of the last read. */
  authorize(client: Client | null, packet: PublishPacket, callback: Done): void {
    const { clock } = this.#parts
    let returned = false
    const done: Done = error => {
      if (returned) callback(error)
      else clock.afterIo(() => callback(error))
    }
    this.#admit(client, packet, done)
    returned = true
  }

  /** The log cannot be written: the connection ends without an acknowledgement. */
  abandon(client: Client | null, error: Error): void {
    this.#parts.metrics.add('mqttRefused', 1, 'storageFailed')
    if (client === null || client.closed) return
    const connection = this.#parts.connectionOf(client)
    this.#parts.closeLog.closed('storage', peerOf(client, connection), error.message)
    connection?.destroy()
  }

  #admit(client: Client | null, packet: PublishPacket, done: Done): void {
    const { metrics } = this.#parts
    const isWill = packet.cmd !== 'publish'
    if (!isWill) metrics.add('mqttReceived', 1, String(packet.qos))
    // topics of the broker are nobody's to publish to
    if (packet.topic.startsWith('$SYS/')) {
      this.#refuse(client, packet, new BrokerError('notAuthorized', 'topics under $SYS belong to the broker'), done)
      return
    }
    const store = (): boolean => this.#store(client, packet as unknown as EnginePublish, isWill, done)
    if (this.#stalled.length > 0 || !store()) this.#stall(store)
  }

  /** Publishes wait here, in order, while the log has no room for them. A connection has at most one run of packets in here. */
  #stall(store: () => boolean): void {
    this.#stalled.push(store)
    if (this.#stalled.length === 1) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  readonly #retry = (): void => {
    while (this.#stalled.length > 0 && this.#stalled[0]!()) this.#stalled.shift()
    if (this.#stalled.length > 0) this.#parts.clock.after(retryAfterMs, this.#retry)
  }

  /** False: not now, the log has no room for it. */
  #store(client: Client | null, packet: EnginePublish, isWill: boolean, done: Done): boolean {
    const { gate, work, metrics } = this.#parts
    if (client?.closed && !isWill) return true
    try {
      const { group } = gate.store(client?.id ?? '', packet)
      if (group === undefined) {
        // acknowledgements keep the order of the publishes, stored or not. [MQTT-4.6.0-2]
        if (packet.qos === 0) done()
        else work.afterPending(() => done())
        return true
      }
      work.after(group, error => {
        // a client that is told nothing publishes again
        if (error !== undefined) {
          this.abandon(client, error)
          return
        }
        if (!isWill && packet.qos > 0) metrics.add('mqttAcked')
        done()
      })
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.waits) return false
      this.#refuse(client, packet, error, done)
    }
    return true
  }

  /** What is not stored is not acknowledged: MQTT 5 has a word for it, before that the connection ends. QoS 0 is dropped. */
  #refuse(client: Client | null, packet: EnginePublish | PublishPacket, error: BrokerError, done: Done): void {
    const { metrics, work, closeLog, connectionOf } = this.#parts
    metrics.add('mqttRefused', 1, error.kind)
    // a will that cannot be stored is not published
    if (client === null || client.closed) {
      done(error)
      return
    }
    const peer = peerOf(client, connectionOf(client))
    if (packet.qos === 0) metrics.add('mqttDropped', 1, 'not stored')
    else if (client.version !== 5) {
      closeLog.closed('not.stored', peer, error.message)
      done(error)
      return
    } else if (error.kind === 'policyViolation') {
      // [MQTT-3.3.4-7]: more QoS 2 publishes than Receive Maximum
      closeLog.closed('receive.maximum', peer, error.message)
      client.disconnect({ reasonCode: reasonCodes.receiveMaximumExceeded })
      return
    }
    const { qos, messageId = 0 } = packet
    const refusal = qos === 0 ? [] : [encodeRefusal(qos as 1 | 2, messageId, pubackReason(error.kind))]
    // acknowledgements keep the order of the publishes. [MQTT-4.6.0-2]
    work.afterPending(failure => {
      if (failure !== undefined) {
        this.abandon(client, failure)
        return
      }
      connectionOf(client)?.write(refusal)
      discard(packet)
      done()
    })
  }
}

/** Who it is, for the log. */
export const peerOf = (
  client: Client,
  connection: MqttConnection | undefined,
): { clientId: string | undefined; remote: string } => ({
  // null until CONNECT is read
  clientId: (client.id as string | null) ?? undefined,
  remote: connection?.remote ?? '',
})

/** The engine has no way to take a packet back: it goes on as a publish to a topic that the emitter drops. */
function discard(packet: EnginePublish | PublishPacket): void {
  const mutable = packet as { topic: string; qos: number; retain: boolean; payload: Buffer }
  mutable.topic = discardedTopic
  mutable.qos = 0
  mutable.retain = false
  mutable.payload = Buffer.alloc(0)
}
