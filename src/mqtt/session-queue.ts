import type { MemoryShare } from './memory-share.ts'

/** A packet on its way to a client with a session, as the engine made it. */
export interface OutgoingPacket {
  readonly cmd: string
  readonly topic?: string
  readonly payload?: Buffer
  readonly brokerId?: string
  readonly brokerCounter?: number
  messageId?: number
  /** The engine's: wall clock, ms. */
  messageExpiry?: number
  /** What `messageExpiry` was by the monotonic clock when the packet was queued. */
  expiresMonotonicMs?: number
}

const packetOverheadBytes = 256
/** Packets of one session that its client has not acknowledged, in order, bounded by bytes. */
export class SessionQueue {
  #bytes = 0
  readonly #packets = new Map<number, OutgoingPacket>()
  readonly #byMessageId = new Map<number, number>()
  readonly #limitBytes: number
  readonly #memory: MemoryShare

  constructor(limitBytes: number, memory: MemoryShare) {
    this.#limitBytes = limitBytes
    this.#memory = memory
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#packets.size
  }

  /** False: there is no room, nothing was kept. */
  add(packet: OutgoingPacket): boolean {
    const bytes = sizeOf(packet)
    if (this.#bytes + bytes > this.#limitBytes || !this.#memory.hasRoom(bytes)) return false
    this.#packets.set(packet.brokerCounter ?? 0, packet)
    this.#hold(bytes)
    return true
  }

  /** Gives a queued packet its message id, or puts the PUBREL in the place of its PUBLISH. False: there is no such packet. */
  update(packet: OutgoingPacket): boolean {
    const queued = packet.brokerCounter === undefined ? undefined : this.#packets.get(packet.brokerCounter)
    if (packet.messageId === undefined) return queued !== undefined
    if (queued !== undefined) {
      queued.messageId = packet.messageId
      this.#byMessageId.set(packet.messageId, packet.brokerCounter!)
      return true
    }
    const counter = this.#byMessageId.get(packet.messageId)
    const before = counter === undefined ? undefined : this.#packets.get(counter)
    if (counter === undefined || before === undefined) return false
    this.#hold(sizeOf(packet) - sizeOf(before))
    this.#packets.set(counter, packet)
    return true
  }

  /** Removes what the client has acknowledged. */
  clear(messageId: number | undefined): OutgoingPacket | undefined {
    const counter = messageId === undefined ? undefined : this.#byMessageId.get(messageId)
    const packet = counter === undefined ? undefined : this.#packets.get(counter)
    if (messageId !== undefined) this.#byMessageId.delete(messageId)
    if (counter === undefined || packet === undefined) return undefined
    this.#packets.delete(counter)
    this.#hold(-sizeOf(packet))
    return packet
  }

  packets(): OutgoingPacket[] {
    return [...this.#packets.values()]
  }

  /** The end of the session. */
  drop(): void {
    this.#hold(-this.#bytes)
    this.#packets.clear()
    this.#byMessageId.clear()
  }

  #hold(bytes: number): void {
    this.#bytes += bytes
    this.#memory.hold(bytes)
  }
}

const sizeOf = (packet: OutgoingPacket): number => packetOverheadBytes + (packet.payload?.length ?? 0)
