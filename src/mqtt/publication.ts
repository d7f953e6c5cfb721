import type { PartitionId } from '../core/brand.ts'
import { encodePublish, packetIdOffset } from '../wire/mqtt/publish-frame.ts'
import { expiryPosition } from '../wire/mqtt/publish-properties.ts'
import type { Receipt } from './commands/receipt.ts'
import type { Place } from './exchange.ts'

const noIdentifiers: readonly number[] = []

export interface PublicationParts {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** MQTT 5 properties that are forwarded, as a section. */
  readonly properties: Buffer
  /** Of the client that published it, for No Local; '' when the broker did. */
  readonly publisher: string
  /** Monotonic time at which the Message Expiry Interval, if there is one, began to run. */
  readonly receivedMs: number
  /** Somebody waits until it is acknowledged. */
  readonly receipt?: Receipt
  /** The record that a deliver rule made it of; no position of a session tells of it. */
  readonly source?: Place
}

/** What was published, on its way to subscribers. Its packets are encoded once for each version, QoS and retain flag. */
export class Publication {
  readonly topic: string
  readonly topicBytes: Buffer
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly publisher: string
  readonly receipt: Receipt | undefined
  readonly source: Place | undefined
  /** Where it stands in the log; undefined: nowhere. */
  partition: PartitionId | undefined
  offset = -1
  readonly #properties: Buffer
  readonly #receivedMs: number
  /** Where its Message Expiry Interval stands in the properties; -1: it does not expire. */
  readonly #expiryAt: number
  readonly #expirySeconds: number
  readonly #frames: Buffer[] = []

  constructor(parts: PublicationParts) {
    this.topic = parts.topic
    this.topicBytes = Buffer.from(parts.topic)
    this.payload = parts.payload
    this.qos = parts.qos
    this.retain = parts.retain
    this.publisher = parts.publisher
    this.receipt = parts.receipt
    this.source = parts.source
    this.#properties = parts.properties
    this.#receivedMs = parts.receivedMs
    this.#expiryAt = parts.properties.length === 0 ? -1 : expiryPosition(parts.properties)
    this.#expirySeconds = this.#expiryAt < 0 ? 0 : parts.properties.readUInt32BE(this.#expiryAt)
  }

  /** It was appended there. */
  placed(partition: PartitionId, offset: number): void {
    this.partition = partition
    this.offset = offset
  }

  /** The same without its place: for those to whom it is no matter of a position in the log. */
  unplaced(): Publication {
    if (this.partition === undefined) return this
    const { topic, payload, qos, retain, publisher } = this
    const [properties, receivedMs] = [this.#properties, this.#receivedMs]
    return new Publication({ topic, payload, qos, retain, publisher, properties, receivedMs })
  }

  /** Bytes that a peer made us hold for it. */
  get bytes(): number {
    return this.payload.length + this.#properties.length
  }

  /** Monotonic time at which it expires; Infinity: never. */
  get expiresAtMs(): number {
    return this.#expiryAt < 0 ? Number.POSITIVE_INFINITY : this.#receivedMs + this.#expirySeconds * 1000
  }

  /** [MQTT-3.3.2-5] */
  hasExpired(nowMs: number): boolean {
    return nowMs >= this.expiresAtMs
  }

  /** The properties with what is left of the Message Expiry Interval. [MQTT-3.3.2-6] */
  propertiesAt(nowMs: number): Buffer {
    const waitedSeconds = this.#waitedSeconds(nowMs)
    if (waitedSeconds === 0) return this.#properties
    const copy = Buffer.from(this.#properties)
    copy.writeUInt32BE(Math.max(0, this.#expirySeconds - waitedSeconds), this.#expiryAt)
    return copy
  }

  /** The packet for a subscriber without alias and identifiers. With QoS 0 it is shared: nobody may change it. */
  frame(version: number, qos: number, retain: boolean, packetId: number, nowMs: number): Buffer {
    if (this.#waitedSeconds(nowMs) > 0) return this.#encode(version, qos, retain, packetId, nowMs)
    const index = (version === 5 ? 6 : 0) + qos * 2 + (retain ? 1 : 0)
    const shared = (this.#frames[index] ??= this.#encode(version, qos, retain, 0, nowMs))
    return qos === 0 ? shared : this.#numbered(shared, packetId)
  }

  #numbered(shared: Buffer, packetId: number): Buffer {
    const frame = Buffer.allocUnsafe(shared.length)
    shared.copy(frame)
    let headerBytes = 2
    while (frame[headerBytes - 1]! > 0x7f) headerBytes++
    const at = headerBytes + packetIdOffset(this.topicBytes.length)
    frame[at] = packetId >> 8
    frame[at + 1] = packetId & 0xff
    return frame
  }

  #encode(version: number, qos: number, retain: boolean, packetId: number, nowMs: number): Buffer {
    return encodePublish({
      version,
      qos,
      retain,
      dup: false,
      packetId,
      topic: this.topicBytes,
      topicAlias: 0,
      subscriptionIdentifiers: noIdentifiers,
      properties: this.propertiesAt(nowMs),
      payload: this.payload,
    })
  }

  #waitedSeconds(nowMs: number): number {
    return this.#expiryAt < 0 ? 0 : Math.floor((nowMs - this.#receivedMs) / 1000)
  }
}
