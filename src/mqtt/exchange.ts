import type { PartitionId } from '../core/brand.ts'
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
}

/**
 * How far the packets of a publication have come. `logging`: PUBLISH must not leave before the log has the packet id; `sent`: it may have left;
 * `received`: PUBREC came, and PUBREL must not leave before the log knows; `released`: PUBREL has left.
 */
export type Stage = 'logging' | 'sent' | 'received' | 'released'

/** Where a publication stands in the log. */
export interface Place {
  readonly partition: PartitionId
  readonly offset: number
}

/** What an entry costs beside its payload. */
const overheadBytes = 256

/** A packet id in use: the publication that it was given to, until the client has acknowledged it to the end (section 4.3). */
export class Exchange {
  readonly packetId: number
  readonly qos: 1 | 2
  /** Undefined: nowhere. */
  readonly place: Place | undefined
  /** For the client's own subscriptions, of what has a place: its position in the partition tells whether it was received. */
  readonly isOwn: boolean
  #share: SharedSubscription | undefined
  stage: Stage
  /** Some connection has seen it, or may have. */
  wasSent: boolean
  #isDone = false
  /** Number of the window in the log that names it; -1: none does. */
  window = -1
  #outgoing: Outgoing | undefined

  /** It gets its packet id now. */
  static begin(packetId: number, outgoing: Outgoing): Exchange {
    const { publication, qos, shared } = outgoing
    const { partition, offset, source } = publication
    const place = partition === undefined ? source : { partition, offset }
    const exchange = new Exchange(packetId, qos, place, partition !== undefined && shared === undefined, false)
    if (partition !== undefined) exchange.#share = shared
    exchange.#outgoing = outgoing
    return exchange
  }

  /** It began before the start of the broker. */
  static restored(
    packetId: number,
    place: Place | undefined,
    from: 'own' | 'other' | SharedSubscription,
    isReceived: boolean,
  ): Exchange {
    const exchange = new Exchange(packetId, 2, place, from === 'own', true)
    if (typeof from === 'object') exchange.#share = from
    // of what is not in the log nothing but PUBREL is left
    if (isReceived || place === undefined) exchange.stage = 'released'
    return exchange
  }

  private constructor(packetId: number, qos: 1 | 2, place: Place | undefined, isOwn: boolean, wasSent: boolean) {
    this.packetId = packetId
    this.qos = qos
    this.place = place
    this.isOwn = isOwn
    this.wasSent = wasSent
    this.stage = 'sent'
  }

  /** The shared subscription whose positions tell of it, where it has some. */
  get share(): SharedSubscription | undefined {
    return this.#share
  }

  /** The client has acknowledged it to the end, or it was given up. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** It is over: what is left of it is its packet id in a window. */
  finish(): void {
    this.#isDone = true
    this.#outgoing = undefined
    this.#share?.done(this.place!)
  }

  /** Undefined: of one from before the start it was not read from the log again. */
  get outgoing(): Outgoing | undefined {
    return this.#outgoing
  }

  /** The publication was read from the log again. */
  resume(outgoing: Outgoing): void {
    this.#outgoing = outgoing
  }

  /** The client has not said that it has it. */
  get isUnreceived(): boolean {
    return this.stage === 'logging' || this.stage === 'sent'
  }

  get bytes(): number {
    return this.#outgoing === undefined ? 0 : sizeOf(this.#outgoing.publication)
  }
}

/** What one on its way makes us hold. */
export const sizeOf = ({ bytes }: Publication): number => overheadBytes + bytes
