import type { PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import { reasonCodes } from './errors.ts'
import type { MemoryShare } from './memory-share.ts'
import type { Publication } from './publication.ts'
import type { SharedSubscription } from './shared-subscription.ts'

/** A publication on its way to one client with QoS 1 or 2. */
export interface Outgoing {
  readonly publication: Publication
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly identifiers: readonly number[]
  /** It may go to another member when this one leaves. */
  readonly shared: SharedSubscription | undefined
  /** PUBREC has come: what is left to do is PUBREL. */
  released: boolean
}

/** The connection of the client, as the flow sees it. */
export interface Sender {
  /** False: the packet is larger than the client takes. */
  send(
    publication: Publication,
    qos: 0 | 1 | 2,
    retain: boolean,
    dup: boolean,
    packetId: number,
    identifiers: readonly number[],
  ): boolean
  sendPubrel(packetId: number, reasonCode?: number): void
  /** Too much waits for its socket already. */
  readonly isSlow: boolean
  /** Receive Maximum of the client. */
  readonly receiveMaximum: number
  readonly nowMs: number
}

export interface OutboundFlowParts {
  /** What one client may make us hold. */
  readonly limitBytes: number
  readonly memory: MemoryShare
  readonly metrics: Metrics
}

export const maxPacketId = 65_535
/** What an entry costs beside its payload. */
const overheadBytes = 256

/**
 * QoS 1 and 2 to one client, in order: what waits, and what it has not acknowledged, within its Receive Maximum. It outlives connections with
 * the session. Bounded by bytes.
 */
export class OutboundFlow {
  readonly #parts: OutboundFlowParts
  readonly #inflight = new Map<number, Outgoing>()
  #waiting: Outgoing[] = []
  /** How many of `#waiting` have gone; they are cut off now and then. */
  #gone = 0
  /** Packet ids in flight that the present connection has not seen yet. */
  #resend: number[] = []
  #sender: Sender | undefined
  #lastId = 0
  #bytes = 0

  constructor(parts: OutboundFlowParts) {
    this.#parts = parts
  }

  /** The next packet id comes after this one. */
  beginIdsAfter(packetId: number): void {
    this.#lastId = packetId
  }

  get isConnected(): boolean {
    return this.#sender !== undefined
  }

  /** Sends at once what is handed over. */
  get isIdle(): boolean {
    return this.#sender !== undefined && this.#waitingCount === 0 && this.#mayProceed(this.#sender)
  }

  /** Who can wait with more does. */
  get isHalfFull(): boolean {
    return this.#bytes * 2 > this.#parts.limitBytes
  }

  get #waitingCount(): number {
    return this.#waiting.length - this.#gone
  }

  /** False: there is no room, nothing was kept. A single one always has room. */
  add(outgoing: Outgoing): boolean {
    const bytes = sizeOf(outgoing)
    const { limitBytes, memory } = this.#parts
    if (this.#bytes > 0 && (this.#bytes + bytes > limitBytes || !memory.hasRoom(bytes))) return false
    this.#hold(bytes)
    if (this.isIdle) this.#begin(outgoing)
    else this.#waiting.push(outgoing)
    return true
  }

  /** The client is here: what it has not acknowledged goes first, again, then what waits. [MQTT-4.4.0-1] [MQTT-4.6.0-1] */
  connect(sender: Sender): void {
    this.#sender = sender
    this.#resend = [...this.#inflight.keys()]
    this.proceed()
  }

  /**
   * The client has gone. Returns what is no longer here, none of which it was sent: what may go to other members of shared subscriptions, and
   * what can be read from the log again.
   */
  disconnect(): { readonly shared: Outgoing[]; readonly missed: Publication[] } {
    this.#sender = undefined
    this.#resend = []
    const shared: Outgoing[] = []
    const missed: Publication[] = []
    this.#waiting = this.#waiting.slice(this.#gone).filter(outgoing => {
      const { shared: share, publication } = outgoing
      const isMissed = share === undefined && publication.partition !== undefined
      if (!isMissed && !share?.hasConnectedMember) return true
      if (isMissed) missed.push(publication)
      else shared.push(outgoing)
      this.#hold(-sizeOf(outgoing))
      return false
    })
    this.#gone = 0
    return { shared, missed }
  }

  /** The session ends. Returns what may go to other members of shared subscriptions. [MQTT-4.8.2-5]: no QoS 2 that was sent. */
  end(): Outgoing[] {
    const left = [...this.#inflight.values()].filter(({ qos }) => qos === 1).concat(this.#waiting.slice(this.#gone))
    this.#hold(-this.#bytes)
    this.#inflight.clear()
    this.#waiting = []
    this.#resend = []
    this.#gone = 0
    this.#sender = undefined
    return left.filter(({ shared }) => shared !== undefined)
  }

  /** The lowest offset in each partition of which something is here. */
  lowestOffsets(): ReadonlyMap<PartitionId, number> {
    const lowest = new Map<PartitionId, number>()
    for (const { publication } of [...this.#inflight.values(), ...this.#waiting.slice(this.#gone)]) {
      const { partition, offset } = publication
      if (partition !== undefined && offset < (lowest.get(partition) ?? Number.POSITIVE_INFINITY))
        lowest.set(partition, offset)
    }
    return lowest
  }

  /** PUBACK, with whatever reason. [MQTT-4.3.2-3] [MQTT-4.4.0-2] */
  acknowledged(packetId: number): void {
    const outgoing = this.#inflight.get(packetId)
    if (outgoing?.qos === 1) this.#done(packetId, outgoing)
  }

  /** PUBREC: an error ends it [MQTT-4.8.2-6], else PUBREL is the next step. [MQTT-4.3.3-3] */
  received(packetId: number, reasonCode: number): void {
    const outgoing = this.#inflight.get(packetId)
    if (outgoing?.qos !== 2) {
      // [MQTT-3.6.2-1]
      this.#sender?.sendPubrel(packetId, reasonCodes.packetIdentifierNotFound)
      return
    }
    if (reasonCode >= reasonCodes.unspecified) {
      this.#done(packetId, outgoing)
      return
    }
    outgoing.released = true
    // [MQTT-4.3.3-4] [MQTT-4.6.0-4]
    this.#sender?.sendPubrel(packetId)
  }

  /** PUBCOMP. [MQTT-4.3.3-5] */
  completed(packetId: number): void {
    const outgoing = this.#inflight.get(packetId)
    if (outgoing?.released) this.#done(packetId, outgoing)
  }

  /** Sends what may be sent now. */
  proceed(): void {
    while (this.#sender !== undefined && this.#resend.length > 0 && this.#maySend(this.#sender)) this.#sendAgain()
    while (this.#sender !== undefined && this.#waitingCount > 0 && this.#mayProceed(this.#sender)) {
      const outgoing = this.#waiting[this.#gone++]!
      if (this.#gone * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#gone)
        this.#gone = 0
      }
      this.#begin(outgoing)
    }
  }

  #mayProceed(sender: Sender): boolean {
    return this.#resend.length === 0 && this.#maySend(sender)
  }

  /** [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]; packets other than PUBLISH do not ask. [MQTT-3.3.4-10] [MQTT-4.9.0-3] */
  #maySend(sender: Sender): boolean {
    const sent = this.#inflight.size - this.#resend.length
    return sent < Math.min(sender.receiveMaximum, maxPacketId) && !sender.isSlow
  }

  #begin(outgoing: Outgoing): void {
    const sender = this.#sender!
    const { publication, qos, retain, identifiers } = outgoing
    if (publication.hasExpired(sender.nowMs)) {
      this.#drop(outgoing, 'expired')
      return
    }
    const packetId = this.#nextId()
    this.#inflight.set(packetId, outgoing)
    // [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT-3.3.1-3]
    if (sender.send(publication, qos, retain, false, packetId, identifiers)) return
    // [MQTT-3.1.2-25]: as if it had been delivered
    this.#inflight.delete(packetId)
    this.#drop(outgoing, 'larger than the subscriber takes')
  }

  // whether it has expired meanwhile is not asked: [MQTT-4.3.3-7]
  #sendAgain(): void {
    const packetId = this.#resend.shift()!
    const outgoing = this.#inflight.get(packetId)
    if (outgoing === undefined) return
    const { publication, qos, retain, identifiers, released } = outgoing
    // [MQTT-4.3.3-6]
    if (released) this.#sender!.sendPubrel(packetId)
    // [MQTT-3.3.1-1]
    else if (!this.#sender!.send(publication, qos, retain, true, packetId, identifiers)) {
      this.#inflight.delete(packetId)
      this.#drop(outgoing, 'larger than the subscriber takes')
    }
  }

  #done(packetId: number, outgoing: Outgoing): void {
    this.#inflight.delete(packetId)
    this.#hold(-sizeOf(outgoing))
    this.proceed()
  }

  #drop(outgoing: Outgoing, why: string): void {
    this.#hold(-sizeOf(outgoing))
    this.#parts.metrics.add('mqttDropped', 1, why)
  }

  /** [MQTT-2.2.1-4]: one that is not in use. [MQTT-4.3.2-1] [MQTT-4.3.3-1] */
  #nextId(): number {
    do this.#lastId = this.#lastId >= maxPacketId ? 1 : this.#lastId + 1
    while (this.#inflight.has(this.#lastId))
    return this.#lastId
  }

  #hold(bytes: number): void {
    this.#bytes += bytes
    this.#parts.memory.hold(bytes)
  }
}

const sizeOf = ({ publication }: Outgoing): number => overheadBytes + publication.bytes
