import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Connection } from '../platform/network.ts'
import { frameKinds, PublishScanner } from '../wire/mqtt/publish-scanner.ts'
import { AckQueue } from './ack-queue.ts'
import type { CloseLog } from './close-log.ts'
import type { DurableWork } from './durable-work.ts'
import { ClientPlans, type Ingest, type PublishPlan } from './ingest.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import type { ReadGate } from './read-gate.ts'
import { ReceivedBytes } from './received-bytes.ts'
import { SessionStream } from './session-stream.ts'

export interface ConnectionParts {
  readonly ingest: Ingest
  readonly work: DurableWork
  readonly gate: ReadGate
  readonly outbound: OutboundLimit
  readonly closeLog: CloseLog
  readonly clock: Clock
  readonly metrics: Metrics
  readonly maxPacketBytes: number
  /** Plain publishes of one client that wait for their acknowledgement. */
  readonly maxInflight: number
  /** False: everything goes to the session engine (for tests that compare the two). */
  readonly hotPath: boolean
}

/** What the engine has found out about the client. */
export interface AcceptedClient {
  readonly clientId: string
  readonly version: number
  /** 0: none. */
  readonly keepAliveMs: number
}

/** Bytes of whole frames that wait while the engine is busy; beyond it the socket is not read. */
const maxHeldBytes = 64 * 1024
/** The engine sees a packet at least so often in a keep alive interval: only that winds its timer up. */
const keepAliveParts = 8
const closeAfterMs = 1000
const partialFrameMs = 10_000
const unreadMs = 30_000
const drainAfterMs = 10_000
const retryAfterMs = 10
const pubrecType = 5

// nothing yields in between, so that one scanner serves all connections
const scanner = new PublishScanner()

/**
 * One client connection: bytes from the socket go, in order, either into the log (plain publishes, see `Ingest`) or to the session engine.
 * The two take turns: nothing is scanned while the engine is busy with earlier packets, so that order holds between both ways.
 */
export class MqttConnection {
  readonly stream: SessionStream
  readonly #socket: Connection
  readonly #parts: ConnectionParts
  readonly #acks = new AckQueue()
  #client: AcceptedClient | undefined
  #plans: ClientPlans | undefined
  readonly #input = new ReceivedBytes()
  #heldBytes = 0
  /** Given to the engine, which is not done with them. */
  #engineBytes = 0
  #outgoingBytes = 0
  /** When the client last took something, or began to have something to take. */
  #outgoingMovedMs = 0
  #engineBusy = false
  /** Waits for a sync before anything else is taken. */
  #parked = false
  #paused = false
  /** Waits for memory; the gate will call. */
  #gated = false
  /** The engine gets all bytes as they come: what they are is its judgement. */
  #raw = false
  #ended = false
  #closed = false
  #engineFedMs = 0
  /** Monotonic time of the present run. */
  #nowMs = 0

  constructor(socket: Connection, parts: ConnectionParts) {
    this.#socket = socket
    this.#parts = parts
    this.stream = new SessionStream({
      engineIdle: () => this.#engineIdle(),
      engineWrites: chunks => this.write(chunks),
      engineCloses: () => this.#close(),
    })
    // the engine listens for errors too; before and after its time they have no meaning
    this.stream.on('error', () => {})
    socket.onData(chunk => this.#read(chunk))
    socket.onClose(() => this.#socketClosed())
    socket.onDrain(() => this.#accountOutgoing())
  }

  get clientId(): string | undefined {
    return this.#client?.clientId
  }

  get remote(): string {
    return this.#socket.remote
  }

  /** Bytes that the client has not taken yet. */
  get pendingBytes(): number {
    return this.#socket.pendingBytes
  }

  /** The engine has accepted CONNECT; from its next idle moment on, plain publishes are taken here. */
  accepted(client: AcceptedClient): void {
    this.#client = client
    this.#plans = new ClientPlans(client.clientId)
    this.#engineFedMs = this.#parts.clock.monotonicMs()
  }

  /** Sends whole packets, past the engine. */
  write(chunks: readonly Uint8Array[]): void {
    if (this.#closed || this.#ended) return
    this.#socket.write(chunks)
    this.#accountOutgoing()
  }

  /** What a client does not read must not keep the memory that all others wait for. */
  closeIfUnread(nowMs: number): void {
    const { gate, closeLog } = this.#parts
    const isUnread = this.#outgoingBytes > 0 && nowMs - this.#outgoingMovedMs > unreadMs
    if (this.#closed || !isUnread || !gate.awaited) return
    closeLog.closed(
      'memory',
      this,
      `${this.#outgoingBytes} bytes wait for a client that does not read, and the memory is out`,
    )
    this.destroy()
  }

  /** Ends the connection; the engine learns of it as of a lost one. */
  destroy(): void {
    this.stream.destroy()
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return
    this.#input.push(chunk)
    this.#run()
  }

  #engineIdle(): void {
    // until CONNECT is done the engine also asks early
    if (this.#client === undefined || this.#closed) return
    this.#engineBusy = false
    this.#engineBytes = 0
    this.#run()
  }

  #socketClosed(): void {
    this.#ended = true
    this.#parts.gate.forget(this.#resume)
    this.#accountOutgoing()
    this.#run()
    // whole frames that were read are still handled, but not for ever
    if (!this.#closed) this.#parts.clock.after(drainAfterMs, () => this.stream.destroy())
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#parts.gate.forget(this.#resume)
    this.#input.takeAll()
    this.#engineBytes = 0
    this.#account()
    if (this.#plans !== undefined) this.#parts.ingest.forget(this.#plans)
    if (this.#ended) return
    // what was written last may say why; a client that does not read it must not keep the socket
    this.#socket.resume()
    this.#socket.end()
    this.#parts.clock.after(closeAfterMs, () => this.#socket.destroy())
  }

  /** Handles what is here as far as it goes. */
  #run(): void {
    this.#nowMs = this.#parts.clock.monotonicMs()
    if (this.#raw) this.#passRaw()
    else if (!this.#engineBusy && !this.#parked) {
      this.#parts.ingest.startRead()
      while (!this.#closed && !this.#engineBusy && !this.#parked && this.#step()) {
        // goes on
      }
    }
    this.#account()
    if (this.#ended && !this.#engineBusy && !this.#parked) this.stream.destroy()
    else this.#throttle()
  }

  /** Handles a run of frames; false when more bytes are needed. */
  #step(): boolean {
    const kind = this.#scan(this.#input.at)
    if (kind === frameKinds.malformed || scanner.needBytes > this.#parts.maxPacketBytes) {
      this.#raw = true
      this.#passRaw()
      return false
    }
    if (kind === frameKinds.incomplete) return this.#input.join(scanner.needBytes)
    if (this.#client === undefined) return this.#pass(scanner.frameEnd)
    if (kind === frameKinds.plainPublish && this.#takesHot()) return true
    return this.#parked ? false : this.#pass(this.#coldEnd(scanner.frameEnd))
  }

  #scan(at: number): number {
    return at === this.#input.bytes.length
      ? this.#nothing()
      : scanner.scan(this.#input.bytes, at, this.#input.bytes.length, this.#client?.version ?? 4)
  }

  #nothing(): number {
    scanner.needBytes = 0
    return frameKinds.incomplete
  }

  /** Stores the run of plain publishes that begins here; false when the first frame is for the engine, or must wait. */
  #takesHot(): boolean {
    let taken = 0
    let acked = 0
    const end = this.#input.bytes.length
    for (;;) {
      const plan = this.#hotPlan()
      if (plan === undefined || !this.#append(plan)) break
      taken++
      if (scanner.qos === 1) acked++
      this.#input.at = scanner.frameEnd
      if (this.#acks.count >= this.#parts.maxInflight) {
        this.#parked = true
        break
      }
      if (this.#input.at === end || this.#scan(this.#input.at) !== frameKinds.plainPublish) break
    }
    if (acked > 0) this.#parts.metrics.add('mqttReceived', acked, '1')
    if (taken > acked) this.#parts.metrics.add('mqttReceived', taken - acked, '0')
    if (taken > 0) this.#parts.metrics.add('mqttStored', taken)
    return taken > 0
  }

  /** The plan of the PUBLISH that the scanner stands on, unless the engine must have it. */
  #hotPlan(): PublishPlan | undefined {
    if (!this.#parts.hotPath || this.#engineIsDue() || scanner.needBytes > this.#parts.maxPacketBytes) return undefined
    const plan = this.#parts.ingest.planFor(this.#plans!, this.#input.bytes, scanner)
    return plan.hot ? plan : undefined
  }

  #engineIsDue(): boolean {
    const { keepAliveMs } = this.#client!
    return keepAliveMs > 0 && this.#nowMs - this.#engineFedMs > keepAliveMs / keepAliveParts
  }

  /** False: it was not stored. Where room is missing just now the connection waits, else the engine's way tries again and says why. */
  #append(plan: PublishPlan): boolean {
    try {
      const group = this.#parts.ingest.append(plan, this.#input.bytes, scanner)
      if (scanner.qos === 1 && this.#acks.add(scanner.packetId, group)) this.#parts.work.after(group, this.#acknowledge)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.waits) this.#parkForRoom()
      return false
    }
  }

  readonly #acknowledge = (error?: Error): void => {
    const acks = this.#acks.take()
    if (error !== undefined) {
      this.destroy()
      return
    }
    this.#parts.metrics.add('mqttAcked', acks.length / 4)
    this.write([acks])
    if (!this.#parked || this.#acks.count >= this.#parts.maxInflight) return
    this.#parked = false
    this.#run()
  }

  /** Too much waits for the device, or there is no slot just now: tries again soon. */
  #parkForRoom(): void {
    this.#parked = true
    this.#parts.metrics.add('memoryPauses', 1, 'mqtt')
    this.#parts.clock.after(retryAfterMs, () => {
      this.#parked = false
      this.#run()
    })
  }

  /** The end of the run of frames that are for the engine. PUBREC goes alone: the engine may be done with it before it looks at the next. */
  #coldEnd(firstEnd: number): number {
    let end = firstEnd
    if (this.#isPubrec(this.#input.at)) return end
    while (end < this.#input.bytes.length && !this.#isPubrec(end)) {
      const kind = this.#scan(end)
      if (kind !== frameKinds.other && kind !== frameKinds.plainPublish) break
      if (scanner.needBytes > this.#parts.maxPacketBytes) break
      if (kind === frameKinds.plainPublish && this.#hotPlan() !== undefined) break
      end = scanner.frameEnd
    }
    return end
  }

  #isPubrec(at: number): boolean {
    return this.#input.bytes[at]! >> 4 === pubrecType
  }

  /** Gives the engine everything up to `end`; the rest waits until it is idle. */
  #pass(end: number): boolean {
    const frames = this.#input.bytes.subarray(this.#input.at, end)
    this.#input.at = end
    this.#engineBusy = true
    this.#engineFedMs = this.#nowMs
    this.#engineBytes = frames.length
    this.stream.push(frames)
    return false
  }

  #passRaw(): void {
    for (const chunk of this.#input.takeAll()) this.stream.push(chunk)
  }

  /** Stops reading while too much is held or the gateway is out of memory. */
  #throttle(): void {
    if (this.#closed || this.#ended) return
    const { gate } = this.#parts
    if (gate.closed && !this.#gated) {
      this.#gated = true
      gate.park(this.#resume)
      const heldBytes = this.#heldBytes
      this.#parts.clock.after(partialFrameMs, () => this.#dropPartialFrame(heldBytes))
    }
    const stop = this.#gated || ((this.#engineBusy || this.#parked) && this.#heldBytes > maxHeldBytes)
    if (stop === this.#paused) return
    this.#paused = stop
    if (stop) this.#socket.pause()
    else this.#socket.resume()
  }

  /** Begun packets that nobody ends must not keep the memory that all others wait for. */
  #dropPartialFrame(heldBytes: number): void {
    const waitsForBytes = this.#gated && !this.#engineBusy && !this.#parked && this.#heldBytes > 0
    if (this.#closed || !waitsForBytes || this.#heldBytes !== heldBytes) return
    this.#parts.closeLog.closed('memory', this, `${heldBytes} bytes of a packet are here and the memory is out`)
    this.destroy()
  }

  readonly #resume = (): void => {
    this.#gated = false
    this.#run()
  }

  /** Tells the memory budget what is held here. */
  #account(): void {
    const held = this.#input.length + this.#engineBytes
    if (held === this.#heldBytes) return
    const { memory } = this.#parts.gate
    if (held > this.#heldBytes) memory.take(held - this.#heldBytes)
    else memory.give(this.#heldBytes - held)
    this.#heldBytes = held
  }

  #accountOutgoing(): void {
    const pending = this.#ended ? 0 : this.#socket.pendingBytes
    if (pending === this.#outgoingBytes) return
    if (pending < this.#outgoingBytes || this.#outgoingBytes === 0) {
      this.#outgoingMovedMs = this.#parts.clock.monotonicMs()
    }
    this.#parts.outbound.hold(pending - this.#outgoingBytes)
    this.#outgoingBytes = pending
  }
}
