import type { Clock } from '../platform/clock.ts'
import type { Connection } from '../platform/network.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import type { Traffic } from './traffic.ts'

/** Packets up to this are joined into one: cheaper than one more entry in a gathered write. */
const joinBytes = 4096
const stuckMs = 30_000

/** What goes to the socket: all packets of one turn of the event loop in one write. */
export class Output {
  readonly #socket: Connection
  readonly #clock: Clock
  readonly #outbound: OutboundLimit
  readonly #traffic: Traffic
  #packets: Uint8Array[] = []
  /** In `#packets`. */
  #bytes = 0
  #isScheduled = false
  #isFinished = false
  /** What the limit was told. */
  #heldBytes = 0
  /** When the client last took something, or began to have something to take. */
  #movedMs = 0

  constructor(socket: Connection, clock: Clock, outbound: OutboundLimit, traffic: Traffic) {
    this.#socket = socket
    this.#clock = clock
    this.#outbound = outbound
    this.#traffic = traffic
  }

  /** Bytes that the client has not taken yet. */
  get pendingBytes(): number {
    return this.#bytes + this.#socket.pendingBytes
  }

  /** The client has taken nothing for a while. */
  isStuck(nowMs: number): boolean {
    return this.#heldBytes > 0 && nowMs - this.#movedMs > stuckMs
  }

  write(packet: Uint8Array): void {
    this.#packets.push(packet)
    this.#bytes += packet.length
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.afterIo(() => this.#flush())
  }

  /** Writes what is left; nothing is written, and nothing held, afterwards. */
  finish(): void {
    if (this.#isFinished) return
    this.#flush()
    this.#isFinished = true
    this.account()
  }

  /** The kernel has taken bytes, or got some: tells the limit. */
  account(): void {
    const pending = this.#isFinished ? 0 : this.#socket.pendingBytes
    if (pending === this.#heldBytes) return
    if (pending < this.#heldBytes || this.#heldBytes === 0) this.#movedMs = this.#clock.monotonicMs()
    this.#outbound.hold(pending - this.#heldBytes)
    this.#heldBytes = pending
  }

  #flush(): void {
    this.#isScheduled = false
    if (this.#isFinished || this.#packets.length === 0) return
    const packets = this.#packets
    this.#packets = []
    this.#traffic.bytesSent += this.#bytes
    const isSmall = packets.length > 1 && this.#bytes <= packets.length * joinBytes
    this.#bytes = 0
    this.#socket.write(isSmall ? [Buffer.concat(packets)] : packets)
    this.account()
  }
}
