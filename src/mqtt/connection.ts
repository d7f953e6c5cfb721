import type { GroupNumber } from '../core/brand.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Timer } from '../platform/clock.ts'
import type { Connection } from '../platform/network.ts'
import type { ConnectionRefusal } from '../platform/stream-server.ts'
import { ProtocolViolation } from '../wire/mqtt/protocol-violation.ts'
import { frameKinds, PublishScanner } from '../wire/mqtt/publish-scanner.ts'
import { encodeDisconnect } from '../wire/mqtt/server-packets.ts'
import { type Client, keepAliveFactor } from './client.ts'
import { type CloseReason, reasonCodes, violationReason } from './errors.ts'
import type { ConnectRequest } from './handlers/connect.ts'
import { handlePacket } from './handlers/packet.ts'
import { countPublishes, handlePublish } from './handlers/publish.ts'
import { type InboundRate, inboundRateFor } from './inbound-rate.ts'
import { Output } from './output.ts'
import { ReceivedBytes } from './received-bytes.ts'
import type { MqttServices } from './services.ts'

/** Bytes of whole frames that wait; beyond it the socket is not read. */
const maxHeldBytes = 64 * 1024
const closeAfterMs = 1000
const partialFrameMs = 10_000
const drainAfterMs = 10_000
const retryAfterMs = 10

// nothing yields in between, so that one scanner serves all connections
const scanner = new PublishScanner()

/**
 * One client connection: takes frames from the socket's bytes, in order, and has each handled to its end before the next, whether at once or,
 * where a handler waits, later. Bounded by what it holds.
 */
export class MqttConnection {
  readonly services: MqttServices
  /** There is no room for it: its CONNECT is answered with that. */
  readonly refusal: ConnectionRefusal | undefined
  /** Undefined until CONNECT is accepted. */
  client: Client | undefined
  /** A CONNECT that waits for an AUTH of the client. */
  connecting: ConnectRequest | undefined
  readonly #socket: Connection
  readonly #ended: (connection: MqttConnection) => void
  readonly #input = new ReceivedBytes()
  readonly #output: Output
  /** Undefined once it has done its work. */
  #connectTimer: Timer | undefined
  /** Undefined: no limit. */
  readonly #rate: InboundRate | undefined
  #rateTimer: Timer | undefined
  #heldBytes = 0
  /** A packet is being handled. */
  #isBusy = false
  /** Waits for acknowledgements or for room in the log before anything else is taken. */
  #isParked = false
  #isPaused = false
  /** Waits for memory; the gate will call. */
  #isGated = false
  /** The socket has closed; what was read is still handled. */
  #isOver = false
  #isClosed = false
  #receivedMs: number

  constructor(
    socket: Connection,
    services: MqttServices,
    ended: (connection: MqttConnection) => void,
    refusal?: ConnectionRefusal,
  ) {
    const { clock, outbound, limits, traffic } = services
    traffic.sockets++
    this.services = services
    this.refusal = refusal
    this.#rate = inboundRateFor(limits)
    this.#socket = socket
    this.#ended = ended
    this.#output = new Output(socket, clock, outbound, traffic)
    this.#receivedMs = clock.monotonicMs()
    this.#connectTimer = clock.after(limits.connectTimeoutMs, () => {
      if (this.client === undefined) this.close('connect.timeout', 'no CONNECT has come')
    })
    socket.onData(chunk => this.#read(chunk))
    socket.onClose(() => this.#socketClosed())
    socket.onDrain(() => this.#drained())
  }

  get clientId(): string | undefined {
    return this.client?.clientId
  }

  get remote(): string {
    return this.#socket.remote
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Bytes that the client has not taken yet. */
  get pendingBytes(): number {
    return this.#output.pendingBytes
  }

  /** Sends a whole packet, or `count` of them, with all others of this turn in one write. */
  write(packet: Uint8Array, count = 1): void {
    if (this.#isClosed || this.#isOver) return
    this.services.traffic.packetsSent += count
    this.#output.write(packet)
  }

  /** CONNECT was accepted. */
  accepted(client: Client): void {
    this.client = client
    this.services.traffic.connected(this.services.sessions.connectedCount)
    this.#connectTimer?.cancel()
    this.#connectTimer = undefined
  }

  /** A handler waits for something: nothing else is taken until `done`. */
  wait(until: Promise<void>): void {
    this.#isBusy = true
    until
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#isBusy = false
        this.#run()
      })
  }

  /** Calls `then` once `group` is durable; at once when there is nothing to wait for. */
  whenDurable(group: GroupNumber | undefined, then: () => void): void {
    if (group === undefined) then()
    else this.services.work.after(group, error => (error === undefined ? then() : this.abandon(error)))
  }

  /** Acknowledgements have left: goes on where it waited for that. */
  proceed(): void {
    if (!this.#isParked || this.client === undefined) return
    if (this.client.acks.count >= this.services.limits.maxInflight) return
    this.#isParked = false
    this.#run()
  }

  /** Ends the connection; an MQTT 5 client is told why, when there is a code for it. */
  close(reason: CloseReason, why: string, reasonCode?: number): void {
    if (this.#isClosed) return
    this.services.closings.refused(reason, { remote: this.remote, clientId: this.clientId, why })
    this.endWith(reasonCode, why)
  }

  /** Ends the connection without counting it. [MQTT-3.14.4-1] [MQTT-3.14.4-2] */
  endWith(reasonCode: number | undefined, why?: string): void {
    const { client } = this
    // [MQTT-3.14.0-1]
    if (reasonCode !== undefined && client?.version === 5) {
      const problem = client.properties.requestProblemInformation ?? true
      const full = encodeDisconnect(reasonCode, problem && why !== undefined ? { reasonString: why } : {})
      // [MQTT-3.14.2-3] [MQTT-3.14.2-4]
      if (!client.offer(full)) client.offer(encodeDisconnect(reasonCode))
    }
    this.destroy()
  }

  /** The log cannot be written: ends without an acknowledgement. */
  abandon(error: Error): void {
    if (this.#isClosed) return
    this.services.metrics.add('mqttRefused', 1, 'storageFailed')
    this.close('storage', error.message, reasonCodes.implementationSpecific)
  }

  /** Nothing came for one and a half keep alive intervals. [MQTT-3.1.2-22] */
  checkKeepAlive(nowMs: number): void {
    const { client } = this
    // what we do not read may be there
    if (client === undefined || client.keepAliveMs === 0 || this.#isPaused || this.#isOver) return
    if (nowMs - this.#receivedMs <= client.keepAliveMs * keepAliveFactor) return
    this.close('keep.alive', 'nothing came for one and a half keep alive intervals', reasonCodes.keepAliveTimeout)
  }

  /** What a client does not read must not keep the memory that all others wait for. */
  closeIfUnread(nowMs: number): void {
    const { gate } = this.services
    if (this.#isClosed || !gate.awaited || !this.#output.isStuck(nowMs)) return
    this.close('memory', `${this.pendingBytes} bytes wait for a client that does not read, and the memory is out`)
  }

  /** Ends the connection; whether that is a loss is for who ended it to say, by taking the will away before. */
  destroy(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.services.gate.forget(this.#resume)
    this.#connectTimer?.cancel()
    this.#input.takeAll()
    this.#account()
    this.#clientLost()
    this.#output.finish()
    this.#ended(this)
    if (this.#isOver) return
    // what was written last may say why; a client that does not read it must not keep the socket
    this.#socket.resume()
    this.#socket.end()
    this.services.clock.after(closeAfterMs, () => this.#socket.destroy())
  }

  #clientLost(): void {
    const { client } = this
    if (client === undefined) return
    const { session, will } = client
    const { wills, sessions } = this.services
    client.end()
    // a connection that took the client id over has the session now
    if (session.client !== client) return
    if (will !== undefined) wills.lost(session, will)
    sessions.left(session)
  }

  #read(chunk: Buffer): void {
    if (this.#isClosed) return
    this.#input.push(chunk)
    this.services.traffic.bytesReceived += chunk.length
    this.#receivedMs = this.services.clock.monotonicMs()
    this.#run()
  }

  #socketClosed(): void {
    this.#isOver = true
    this.services.gate.forget(this.#resume)
    this.#output.finish()
    this.#run()
    // whole frames that were read are still handled, but not for ever
    if (!this.#isClosed) this.services.clock.after(drainAfterMs, () => this.destroy())
  }

  #drained(): void {
    this.#output.account()
    this.client?.session.flow.proceed()
  }

  /** Handles what is here as far as it goes. */
  #run(): void {
    if (this.#isClosed) return
    if (!this.#isBusy && !this.#isParked) {
      this.services.ingest.startRead()
      try {
        while (!this.#isClosed && !this.#isBusy && !this.#isParked && this.#step()) {
          // goes on
        }
      } catch (error) {
        this.#failed(error)
      }
      countPublishes(this.services.metrics)
      this.#input.forgetHandled()
    }
    this.#account()
    if (this.#isOver && !this.#isBusy && !this.#isParked) this.destroy()
    else this.#throttle()
  }

  /** Handles one frame; false when more bytes are needed. [MQTT-4.2.0-1] */
  #step(): boolean {
    const { bytes, at } = this.#input
    if (at === bytes.length) return this.#input.join(1)
    const { limits } = this.services
    const { client } = this
    const kind = scanner.scan(bytes, at, bytes.length, client?.version ?? 4)
    if (kind === frameKinds.malformed) throw new ProtocolViolation('malformedPacket', 'a packet that is malformed')
    // [MQTT-3.2.2-15]
    if (scanner.needBytes > limits.maxPacketBytes)
      throw new ProtocolViolation('packetTooLarge', `a packet of ${scanner.needBytes} bytes`)
    if (kind === frameKinds.incomplete) return this.#input.join(Math.max(scanner.needBytes, bytes.length - at + 1))
    const { frameEnd } = scanner
    if (kind === frameKinds.publish && client !== undefined) return this.#publish(client, frameEnd)
    this.#input.at = frameEnd
    this.services.traffic.packetsReceived++
    handlePacket(this, bytes, at, frameEnd)
    return true
  }

  #publish(client: Client, frameEnd: number): boolean {
    if (this.#rate !== undefined && this.#isOverRate(this.#rate)) return false
    if (!handlePublish(client, this.#input.bytes, scanner)) {
      this.#parkForRoom()
      return false
    }
    // a publish that is refused may end the connection
    if (!this.#isClosed) this.#input.at = frameEnd
    this.services.traffic.packetsReceived++
    this.#rate?.took(scanner.needBytes)
    if (client.acks.count >= this.services.limits.maxInflight) this.#isParked = true
    return true
  }

  /** Then the client waits until its time comes. What a lost one had sent is not held up. */
  #isOverRate(rate: InboundRate): boolean {
    const { clock, metrics } = this.services
    const waitMs = this.#isOver ? 0 : rate.waitMs(clock.monotonicMs())
    if (waitMs === 0) return false
    this.#isParked = true
    // acknowledgements wake the connection meanwhile
    if (this.#rateTimer !== undefined) return true
    metrics.add('mqttRatePauses')
    this.#rateTimer = clock.after(waitMs, () => {
      this.#rateTimer = undefined
      this.#isParked = false
      this.#run()
    })
    return true
  }

  /** Too much waits for the device: tries again soon. */
  #parkForRoom(): void {
    this.#isParked = true
    this.services.metrics.add('memoryPauses', 1, 'mqtt')
    this.services.clock.after(retryAfterMs, () => {
      this.#isParked = false
      this.#run()
    })
  }

  // [MQTT-4.13.1-1] [MQTT-4.13.2-1]
  #failed(error: unknown): void {
    if (error instanceof MalformedFrame) this.close('protocol', error.message, reasonCodes.malformedPacket)
    else if (error instanceof ProtocolViolation) {
      const { violation } = error
      const isSize = violation === 'packetTooLarge'
      const reason = isSize ? 'packet.size' : violation === 'receiveMaximumExceeded' ? 'receive.maximum' : 'protocol'
      this.close(reason, error.message, violationReason(violation))
    } else throw error
  }

  /** Stops reading while too much is held or the gateway is out of memory. */
  #throttle(): void {
    if (this.#isClosed || this.#isOver) return
    const { gate, clock } = this.services
    if (gate.closed && !this.#isGated) {
      this.#isGated = true
      gate.park(this.#resume)
      const heldBytes = this.#heldBytes
      clock.after(partialFrameMs, () => this.#dropPartialFrame(heldBytes))
    }
    const stop = this.#isGated || ((this.#isBusy || this.#isParked) && this.#heldBytes > maxHeldBytes)
    if (stop === this.#isPaused) return
    this.#isPaused = stop
    if (stop) this.#socket.pause()
    else {
      this.#receivedMs = clock.monotonicMs()
      this.#socket.resume()
    }
  }

  /** Begun packets that nobody ends must not keep the memory that all others wait for. */
  #dropPartialFrame(heldBytes: number): void {
    const waitsForBytes = this.#isGated && !this.#isBusy && !this.#isParked && this.#heldBytes > 0
    if (this.#isClosed || !waitsForBytes || this.#heldBytes !== heldBytes) return
    this.close('memory', `${heldBytes} bytes of a packet are here and the memory is out`)
  }

  readonly #resume = (): void => {
    this.#isGated = false
    this.#run()
  }

  /** Tells the memory budget what is held here. */
  #account(): void {
    const held = this.#input.length
    if (held === this.#heldBytes) return
    const { memory } = this.services.gate
    if (held > this.#heldBytes) memory.take(held - this.#heldBytes)
    else memory.give(this.#heldBytes - held)
    this.#heldBytes = held
  }
}
