import type { GroupNumber } from '../core/brand.ts'
import { LazyMap } from '../core/lazy-map.ts'
import { type AckType, ackTypes, packAck } from '../wire/mqtt/acks.ts'
import type { ConnectPacket } from '../wire/mqtt/client-packets.ts'
import type { Properties } from '../wire/mqtt/properties.ts'
import { encodePublish } from '../wire/mqtt/publish-frame.ts'
import { encodePubrel } from '../wire/mqtt/server-packets.ts'
import { AckQueue } from './ack-queue.ts'
import type { MqttConnection } from './connection.ts'
import { pubackReason, reasonCodes } from './errors.ts'
import { ClientPlans } from './ingest.ts'
import type { Sender } from './outbound-flow.ts'
import type { Publication } from './publication.ts'
import type { Replay } from './replay.ts'
import type { MqttServices } from './services.ts'
import type { Session } from './session.ts'
import { InboundAliases, OutboundAliases } from './topic-alias.ts'
import { type PartitionEnd, UpstreamAcks } from './upstream-acks.ts'
import type { Will } from './will.ts'

/** Aliases that a client may use, and that we use with it. */
export const maxTopicAliases = 10
/** It is lost when nothing came for so many keep alive intervals. */
export const keepAliveFactor = 1.5
const maxAliasedLength = 1024
const anyPacketSize = 268_435_460
const maxUint16 = 65_535

export interface ClientParts {
  readonly services: MqttServices
  readonly connection: MqttConnection
  readonly session: Session
  readonly packet: ConnectPacket
  readonly keepAliveMs: number
  readonly will: Will | undefined
}

/** A connected client: what belongs to it and to this connection alone. Its session outlives it. */
export class Client implements Sender {
  readonly clientId: string
  readonly version: number
  readonly isBridge: boolean
  readonly session: Session
  readonly connection: MqttConnection
  /** 0: none. */
  readonly keepAliveMs: number
  readonly connectedAtMs: number
  readonly receiveMaximum: number
  readonly plans: ClientPlans
  readonly acks = new AckQueue()
  /** By filter, as the client wrote it. */
  readonly replays = new LazyMap<string, Replay>()
  readonly inboundAliases: InboundAliases
  /** Of its CONNECT. */
  readonly properties: Properties
  will: Will | undefined
  readonly #services: MqttServices
  readonly #outboundAliases: OutboundAliases
  readonly #maxPacketBytes: number
  /** Undefined before the first publish whose acknowledgement waits for the central cluster. */
  #upstream: UpstreamAcks | undefined

  constructor({ services, connection, session, packet, keepAliveMs, will }: ClientParts) {
    const { properties, version } = packet
    this.#services = services
    this.clientId = session.clientId
    this.version = version
    this.isBridge = packet.isBridge
    this.session = session
    this.connection = connection
    this.properties = properties
    this.keepAliveMs = keepAliveMs
    this.will = will
    this.connectedAtMs = services.clock.monotonicMs()
    const { maxInflight } = services.limits
    this.receiveMaximum = version === 5 ? (properties.receiveMaximum ?? maxUint16) : maxInflight
    this.#maxPacketBytes = properties.maximumPacketSize ?? anyPacketSize
    this.plans = new ClientPlans(this.clientId)
    // [MQTT-3.3.2-12]
    this.inboundAliases = new InboundAliases(version === 5 ? maxTopicAliases : 0, services.aliasMemory)
    // [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
    this.#outboundAliases = new OutboundAliases(Math.min(maxTopicAliases, properties.topicAliasMaximum ?? 0))
  }

  get nowMs(): number {
    return this.#services.clock.monotonicMs()
  }

  get isSlow(): boolean {
    return this.#services.outbound.tooSlow(this.connection.pendingBytes)
  }

  /** QoS 1 and 2 publishes of the client that are not done (section 4.9). */
  get unacknowledged(): number {
    return this.acks.pubacks + this.#services.state.heldCount(this.clientId)
  }

  /** Is a packet of so many bytes within the Maximum Packet Size of its CONNECT? [MQTT-3.1.2-24] */
  takes(packetBytes: number): boolean {
    return packetBytes <= this.#maxPacketBytes
  }

  /** Sends a packet unless it is larger than the client takes. */
  offer(packet: Buffer): boolean {
    if (!this.takes(packet.length)) return false
    this.connection.write(packet)
    return true
  }

  send(
    publication: Publication,
    qos: 0 | 1 | 2,
    retain: boolean,
    dup: boolean,
    packetId: number,
    identifiers: readonly number[],
  ): boolean {
    const { nowMs } = this
    const known = this.#outboundAliases.known(publication.topic)
    const mayName = publication.topicBytes.length <= maxAliasedLength
    const alias = known > 0 ? known : mayName ? this.#outboundAliases.free : 0
    if (alias === 0 && identifiers.length === 0 && !dup)
      return this.#offerPublish(publication.frame(this.version, qos, retain, packetId, nowMs), publication)
    const isSent = this.#offerPublish(
      encodePublish({
        version: this.version,
        qos,
        retain,
        dup,
        packetId,
        topic: known > 0 ? noTopic : publication.topicBytes,
        topicAlias: alias,
        subscriptionIdentifiers: identifiers,
        properties: publication.propertiesAt(nowMs),
        payload: publication.payload,
      }),
      publication,
    )
    if (isSent && alias > 0 && known === 0) this.#outboundAliases.use(publication.topic)
    return isSent
  }

  #offerPublish(packet: Buffer, { payload }: Publication): boolean {
    if (!this.offer(packet)) return false
    const { traffic } = this.#services
    traffic.publishesSent++
    traffic.payloadBytesSent += payload.length
    return true
  }

  sendPubrel(packetId: number, reasonCode = 0): void {
    this.connection.write(encodePubrel(packetId, this.version === 5 ? reasonCode : 0))
  }

  /** Acknowledges once `group` may be acknowledged, in the order of the packets. [MQTT-4.6.0-2] [MQTT-4.6.0-3]; undefined: there is nothing to wait for. */
  acknowledge(type: AckType, packetId: number, reasonCode: number, group: GroupNumber | undefined): void {
    const ack = packAck(type, packetId, reasonCode)
    if (group !== undefined) {
      if (this.acks.add(ack, group)) this.#services.work.after(group, this.#ackable)
    } else if (!this.acks.join(ack)) {
      this.acks.add(ack, 0)
      this.connection.write(this.acks.take())
    }
  }

  /**
   * As `acknowledge`, and not before the central cluster has the records. MQTT 5 has a word for it when it does not get them. Before that there is
   * none, and after PUBREC with an error nobody could tell a repeat: then the client goes without an answer until they are there.
   */
  acknowledgeUpstream(type: AckType, packetId: number, group: GroupNumber, ends: readonly PartitionEnd[]): void {
    const isPatient = this.version < 5 || type === ackTypes.pubrec
    const held = this.acks.hold(packAck(type, packetId, reasonCodes.success), group)
    this.#upstream ??= new UpstreamAcks(this.#services.broker.replica)
    this.#upstream.wait(ends, isPatient, error => {
      if (error !== undefined) this.#services.metrics.add('mqttRefused', 1, error.kind)
      if (isPatient && error !== undefined) {
        this.connection.close('not.stored', error.message, pubackReason(error.kind))
        return
      }
      this.acks.let(held, error && pubackReason(error.kind))
      this.#sendReady()
    })
    this.#services.work.after(group, this.#ackable)
  }

  /** It does not read, and what it is to get has no room. */
  fallBehind(): void {
    this.connection.close('slow.subscriber', 'more waits for it than may', reasonCodes.quotaExceeded)
  }

  /** The connection is gone. */
  end(): void {
    this.#services.replays.endAll(this)
    this.#upstream?.end()
    this.inboundAliases.end()
    this.#services.ingest.forget(this.plans)
  }

  readonly #ackable = (error?: Error): void => {
    if (error !== undefined) {
      this.connection.abandon(error)
      return
    }
    this.acks.due()
    this.#sendReady()
  }

  #sendReady(): void {
    const { connection, acks } = this
    while (acks.isReady) {
      this.#services.metrics.add('mqttAcked', acks.nextStored)
      const count = acks.nextCount
      connection.write(acks.take(), count)
    }
    connection.proceed()
  }
}

const noTopic = Buffer.alloc(0)
