import type { PartitionId } from '../core/brand.ts'
import { LazyMap } from '../core/lazy-map.ts'
import type { Metrics } from '../core/metrics.ts'
import { reasonCodes } from './errors.ts'
import { Exchange, type Outgoing, type Place, type Stage, sizeOf } from './exchange.ts'
import type { MemoryShare } from './memory-share.ts'
import type { PacketIdWindows, WindowStep } from './packet-id-windows.ts'
import type { Publication } from './publication.ts'

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

const maxPacketId = 65_535

/**
 * QoS 1 and 2 to one client, in order: what waits, and what it has not acknowledged, within its Receive Maximum. It outlives connections with
 * the session. Bounded by bytes.
 */
export class OutboundFlow {
  readonly #parts: OutboundFlowParts
  /** Of a session that outlives its connection: what it sends with QoS 2 stands in the log before. */
  readonly #windows: PacketIdWindows
  readonly #inflight = new LazyMap<number, Exchange>()
  #waiting: Outgoing[] = []
  /** How many of `#waiting` have gone; they are cut off now and then. */
  #gone = 0
  /** Packet ids in flight that the present connection has not seen yet. */
  #resend: number[] = []
  #sender: Sender | undefined
  #lastId = 0
  #bytes = 0

  constructor(parts: OutboundFlowParts, windows: PacketIdWindows) {
    this.#parts = parts
    this.#windows = windows
  }

  /** Exchanges from before the start, in their order. */
  restore(exchanges: readonly Exchange[]): void {
    for (const exchange of exchanges) this.#inflight.set(exchange.packetId, exchange)
  }

  /** Those from before the start whose publications were not read from the log again. They have to be before `connect`. */
  get unread(): Exchange[] {
    return [...this.#inflight.values()].filter(({ stage, outgoing }) => stage === 'sent' && outgoing === undefined)
  }

  /** The publication of an exchange from before the start; undefined: it cannot be had any more. */
  resume(exchange: Exchange, outgoing: Outgoing | undefined): void {
    // the client has acknowledged it while it was read
    if (exchange.stage !== 'sent' || !this.#isHere(exchange)) return
    if (outgoing === undefined) exchange.stage = 'released'
    else {
      exchange.resume(outgoing)
      this.#hold(exchange.bytes)
    }
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

  /** All sessions together hold less than they may. */
  get hasSpareMemory(): boolean {
    return this.#parts.memory.hasRoom(1)
  }

  get #waitingCount(): number {
    return this.#waiting.length - this.#gone
  }

  /** A single one always has room. */
  hasRoomFor(publication: Publication): boolean {
    const bytes = sizeOf(publication)
    const { limitBytes, memory } = this.#parts
    return this.#bytes === 0 || (this.#bytes + bytes <= limitBytes && memory.hasRoom(bytes))
  }

  /** False: there is no room, nothing was kept. */
  add(outgoing: Outgoing): boolean {
    if (!this.hasRoomFor(outgoing.publication)) return false
    this.#hold(sizeOf(outgoing.publication))
    outgoing.publication.receipt?.taken()
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
      if (!isMissed && !share?.takesBack(publication)) return true
      if (isMissed) missed.push(publication)
      else shared.push(outgoing)
      publication.receipt?.abandoned()
      this.#hold(-sizeOf(publication))
      return false
    })
    this.#gone = 0
    return { shared, missed }
  }

  /** The session ends. Returns what may go to other members of shared subscriptions. [MQTT-4.8.2-5]: no QoS 2 that was sent. */
  end(): Outgoing[] {
    const unanswered = [...this.#inflight.values()].filter(({ isUnreceived }) => isUnreceived)
    for (const { outgoing } of unanswered) outgoing?.publication.receipt?.abandoned()
    for (const { publication } of this.#waiting.slice(this.#gone)) publication.receipt?.abandoned()
    const isLeft = ({ qos, stage }: Exchange): boolean => qos === 1 || stage === 'logging'
    const exchanges = [...this.#inflight.values()]
    const begun = exchanges.filter(isLeft).flatMap(({ outgoing }) => outgoing ?? [])
    for (const exchange of exchanges) if (!isLeft(exchange)) exchange.finish()
    const left = [...begun, ...this.#waiting.slice(this.#gone)]
    this.#hold(-this.#bytes)
    this.#inflight.clear()
    this.#windows.end()
    this.#waiting = []
    this.#resend = []
    this.#gone = 0
    this.#sender = undefined
    return left.filter(({ shared }) => shared !== undefined)
  }

  /** The lowest offset in each partition, for the client's own subscriptions, that it has not said to have. */
  lowestOffsets(): ReadonlyMap<PartitionId, number> {
    const lowest = new Map<PartitionId, number>()
    const see = (partition: PartitionId | undefined, offset: number): void => {
      if (partition !== undefined && offset < (lowest.get(partition) ?? Number.POSITIVE_INFINITY))
        lowest.set(partition, offset)
    }
    for (const { isUnreceived, isOwn, place } of this.#inflight.values())
      if (isUnreceived && isOwn) see(place!.partition, place!.offset)
    for (const { publication, shared } of this.#waiting.slice(this.#gone))
      if (shared === undefined) see(publication.partition, publication.offset)
    return lowest
  }

  /** How far a QoS 2 exchange of the record there, as published to the topic, has come; undefined: there is none. */
  stageAt({ partition, offset }: Place, topic: string): Stage | undefined {
    for (const { qos, place, stage, outgoing } of this.#inflight.values()) {
      if (qos !== 2 || place?.partition !== partition || place.offset !== offset) continue
      // of one from before the start the topic is not known yet
      if (outgoing === undefined || outgoing.publication.topic === topic) return stage
    }
    return undefined
  }

  /** Is it known that an exchange of the record there, as published to the topic, is under way? */
  knows({ partition, offset }: Place, topic: string): boolean {
    return [...this.#inflight.values()].some(
      ({ place, outgoing }) =>
        outgoing?.publication.topic === topic && place?.partition === partition && place.offset === offset,
    )
  }

  /** PUBACK, with whatever reason. [MQTT-4.3.2-3] [MQTT-4.4.0-2] */
  acknowledged(packetId: number, reasonCode: number): void {
    const exchange = this.#inflight.get(packetId)
    if (exchange?.qos !== 1) return
    exchange.outgoing?.publication.receipt?.answered(reasonCode)
    this.#done(exchange)
  }

  /** PUBREC: an error ends it [MQTT-4.8.2-6], else PUBREL is the next step. [MQTT-4.3.3-3] */
  received(packetId: number, reasonCode: number): void {
    const exchange = this.#inflight.get(packetId)
    if (exchange?.qos !== 2 || exchange.stage === 'logging') {
      // [MQTT-3.6.2-1]
      this.#sender?.sendPubrel(packetId, reasonCodes.packetIdentifierNotFound)
      return
    }
    // before the window: by the time that PUBREL leaves, who waited for this has written it
    if (exchange.stage === 'sent') exchange.outgoing?.publication.receipt?.answered(reasonCode)
    const isNews = exchange.stage === 'sent' && exchange.window >= 0
    if (isNews) this.#windows.receive(exchange)
    if (reasonCode >= reasonCodes.unspecified) this.#done(exchange)
    else if (isNews) exchange.stage = 'received'
    else if (exchange.stage !== 'received') this.#release(exchange)
  }

  /** PUBCOMP. [MQTT-4.3.3-5] */
  completed(packetId: number): void {
    const exchange = this.#inflight.get(packetId)
    if (exchange?.stage === 'released') this.#done(exchange)
  }

  /** The step of the windows is durable: what waited for it goes on. */
  logged(step: WindowStep): void {
    this.#windows.logged(step)
    for (const exchange of step.assigned) {
      if (!this.#isHere(exchange)) continue
      exchange.stage = 'sent'
      // otherwise it stands behind what is sent again
      if (this.#sender !== undefined && this.#resend.length === 0) this.#send(exchange)
    }
    for (const exchange of step.received)
      if (this.#isHere(exchange) && exchange.stage === 'received') this.#release(exchange)
    this.proceed()
  }

  /** Sends what may be sent now. */
  proceed(): void {
    while (this.#sender !== undefined && this.#resend.length > 0 && this.#maySend(this.#sender)) {
      const exchange = this.#inflight.get(this.#resend[0]!)
      // the log does not have it yet
      if (exchange?.stage === 'logging') break
      this.#resend.shift()
      if (exchange !== undefined) this.#sendAgain(exchange)
    }
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
    return this.#resend.length === 0 && !this.#windows.isFull && this.#maySend(sender)
  }

  /** [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]; packets other than PUBLISH do not ask. [MQTT-3.3.4-10] [MQTT-4.9.0-3] */
  #maySend(sender: Sender): boolean {
    const sent = this.#inflight.size - this.#resend.length
    return sent < Math.min(sender.receiveMaximum, maxPacketId) && !sender.isSlow
  }

  #begin(outgoing: Outgoing): void {
    const windows = this.#windows
    if (outgoing.publication.hasExpired(this.#sender!.nowMs)) {
      this.#dropExpired(outgoing)
      return
    }
    const exchange = Exchange.begin(this.#nextId(), outgoing)
    this.#inflight.set(exchange.packetId, exchange)
    // what comes behind one that waits for the log keeps its place
    const needsWindow = exchange.qos === 2 && (windows.areNeeded || exchange.share?.mayTellOf(exchange.place!))
    if (windows.isPending || needsWindow) windows.assign(exchange)
    else this.#send(exchange)
  }

  #dropExpired({ publication, shared }: Outgoing): void {
    const { partition, offset } = publication
    this.#hold(-sizeOf(publication))
    this.#parts.metrics.add('mqttDropped', 1, 'expired')
    publication.receipt?.expired()
    if (partition !== undefined) shared?.done({ partition, offset })
  }

  // whether it has expired meanwhile is not asked: [MQTT-4.3.3-7]
  #sendAgain(exchange: Exchange): void {
    // [MQTT-4.3.3-6]
    if (exchange.stage === 'released') this.#sender!.sendPubrel(exchange.packetId)
    else if (exchange.stage === 'sent') this.#send(exchange)
  }

  // [MQTT-4.3.2-2] [MQTT-4.3.3-2]
  #send(exchange: Exchange): void {
    const { publication, qos, retain, identifiers } = exchange.outgoing!
    // [MQTT-3.3.1-1] [MQTT-3.3.1-3]
    const dup = exchange.wasSent
    exchange.wasSent = true
    publication.receipt?.sent()
    if (this.#sender!.send(publication, qos, retain, dup, exchange.packetId, identifiers)) return
    // [MQTT-3.1.2-25]: as if it had been delivered
    this.#end(exchange)
    this.#parts.metrics.add('mqttDropped', 1, 'larger than the subscriber takes')
    publication.receipt?.answered(reasonCodes.packetTooLarge)
  }

  // [MQTT-4.3.3-4] [MQTT-4.6.0-4]
  #release(exchange: Exchange): void {
    exchange.stage = 'released'
    this.#sender?.sendPubrel(exchange.packetId)
  }

  #done(exchange: Exchange): void {
    this.#end(exchange)
    this.proceed()
  }

  #end(exchange: Exchange): void {
    this.#inflight.delete(exchange.packetId)
    this.#hold(-exchange.bytes)
    this.#windows.completed(exchange)
  }

  #isHere(exchange: Exchange): boolean {
    return this.#inflight.get(exchange.packetId) === exchange
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
