import { Backlog } from './backlog.ts'
import { catchUp } from './catch-up.ts'
import type { Client } from './client.ts'
import { OutboundFlow, type OutboundFlowParts } from './outbound-flow.ts'
import { PacketIdWindows, type WindowsKeeper } from './packet-id-windows.ts'
import type { Publication } from './publication.ts'
import type { SharedSubscription } from './shared-subscription.ts'
import type { Subscription } from './subscription.ts'

/** What all sessions share. */
export interface SessionParts extends OutboundFlowParts {
  /** Called when the packet id windows of one have something to write. */
  readonly changed: (session: Session) => void
}

/** The state of a client that outlives its connections (section 4.1). */
export class Session implements WindowsKeeper {
  readonly clientId: string
  readonly subscriptions = new Map<string, Subscription>()
  readonly windows: PacketIdWindows
  readonly flow: OutboundFlow
  /** What it has yet to read from the log. */
  readonly backlog = new Backlog()
  /** Undefined while the client is away. */
  client: Client | undefined
  /** How long it stays after the connection; 0: it ends with it; `Infinity`: it does not end by itself. */
  expiryMs = 0
  readonly #parts: SessionParts

  constructor(clientId: string, parts: SessionParts) {
    this.clientId = clientId
    this.windows = new PacketIdWindows(this)
    this.flow = new OutboundFlow(parts, this.windows)
    this.#parts = parts
  }

  get outlivesConnection(): boolean {
    return this.expiryMs > 0
  }

  windowsChanged(): void {
    this.#parts.changed(this)
  }

  get isConnected(): boolean {
    return this.client !== undefined
  }

  /** Connected, and it keeps up. */
  get isReady(): boolean {
    return this.client !== undefined && this.flow.isIdle
  }

  /** Hands over one copy: sent at once, kept until it can be sent, or dropped and counted. */
  deliver(
    publication: Publication,
    qos: 0 | 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
    shared: SharedSubscription | undefined,
  ): void {
    if (qos === 0) this.#deliverAtMostOnce(publication, retain, identifiers)
    else if (this.#comesFromLog(publication, shared)) this.#deliverFromLog(publication, qos, retain, identifiers)
    else if (!this.flow.add({ publication, qos, retain, identifiers, shared })) {
      this.#parts.metrics.add('mqttDropped', 1, 'session queue full')
      // one that is here would miss something without knowing: with a session it comes back for what is kept
      this.client?.fallBehind()
    }
  }

  /** A session that outlives its connection keeps a position of what the log holds; a share has no position. */
  #comesFromLog({ partition }: Publication, shared: SharedSubscription | undefined): boolean {
    return partition !== undefined && this.outlivesConnection && shared === undefined
  }

  #deliverFromLog(publication: Publication, qos: 1 | 2, retain: boolean, identifiers: readonly number[]): void {
    const { client, backlog, flow } = this
    const partition = publication.partition!
    if (backlog.covers(partition, publication.offset)) return
    const outgoing = { publication, qos, retain, identifiers, shared: undefined }
    if (client !== undefined && flow.add(outgoing)) {
      if (qos === 2) backlog.handedOver(partition, publication.offset)
      return
    }
    backlog.miss(partition, publication.offset)
    if (client !== undefined) catchUp(client)
  }

  #deliverAtMostOnce(publication: Publication, retain: boolean, identifiers: readonly number[]): void {
    const { client } = this
    // what nobody promised to keep for an absent client is not missed
    if (client === undefined) return
    if (client.isSlow) this.#parts.metrics.add('mqttDropped', 1, 'slow subscriber')
    else if (publication.hasExpired(client.nowMs)) this.#parts.metrics.add('mqttDropped', 1, 'expired')
    // [MQTT-4.3.1-1]
    else if (!client.send(publication, 0, retain, false, 0, identifiers))
      this.#parts.metrics.add('mqttDropped', 1, 'larger than the subscriber takes')
  }
}
