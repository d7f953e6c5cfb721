import type { Socket } from 'node:net'
import type { ProxiedEnds, SetupRefusal, StreamOptions } from '../stream-server.ts'
import { type Ends, remoteOf } from './network.ts'

/** An accepted socket whose protocol has not begun: it has a time for that, and is closed when something is wrong. */
export class Arrival {
  readonly socket: Socket
  /** What it is at, for the reason when it ends there. */
  stage: 'proxy.header' | 'tls' | 'websocket' = 'tls'
  readonly #underWay: Set<Arrival>
  readonly #options: StreamOptions
  readonly #deadline: NodeJS.Timeout
  #ends: Ends
  #settled = false

  /** `underWay` has those of the listener that are not settled. */
  constructor(socket: Socket, ends: Ends, options: StreamOptions, underWay: Set<Arrival>) {
    this.socket = socket
    this.#ends = ends
    this.#underWay = underWay.add(this)
    this.#options = options
    const { setupTimeoutMs } = options
    this.#deadline = setTimeout(
      () => this.refuse('setup.timeout', `its setup took more than ${setupTimeoutMs} ms`),
      setupTimeoutMs,
    )
    socket.on('error', () => undefined)
    socket.once('close', () => this.#closed())
  }

  get ends(): Ends {
    return this.#ends
  }

  /** The proxy says whose connection it is. */
  proxied({ source, destination }: ProxiedEnds): void {
    this.#ends = { host: source.host, remote: remoteOf(source.host, source.port), local: destination }
  }

  /** Asks the gate, now that the client is known. */
  enter(): boolean {
    const { gate } = this.#options
    const { host } = this.#ends
    const refusal = gate.enter(host)
    if (refusal !== undefined) this.refuse(refusal.reason, refusal.why)
    else this.socket.once('close', () => gate.leave(host))
    return refusal === undefined
  }

  /** Whoever settles it has it: false when it is gone or refused. */
  settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    clearTimeout(this.#deadline)
    this.#underWay.delete(this)
    return true
  }

  /** Counts it, once, and closes: at once, or as `close` does. */
  refuse(reason: SetupRefusal, why: string, close: () => void = () => this.socket.destroy()): void {
    if (!this.settle()) return
    this.#options.onRefused(reason, this.#ends.remote, why)
    close()
  }

  /** A client that connects and says nothing is one that looks whether we are there. */
  #closed(): void {
    if (this.socket.bytesRead > 0) this.refuse(this.stage, 'the client closed the connection before it was set up')
    else this.settle()
  }
}
