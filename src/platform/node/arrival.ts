import type { Socket } from 'node:net'
import type { ConnectionRefusal, ProxiedEnds, SetupRefusal, StreamOptions } from '../stream-server.ts'
import { type Ends, remoteOf } from './network.ts'

/** What the arrivals of one listener share. */
export interface Lobby {
  readonly options: StreamOptions
  /** Those that are not settled. */
  readonly underWay: Set<Arrival>
  /** Sockets of those who are refused, and are to be told. */
  readonly refused: Set<Socket>
}

const ignore = (): void => undefined

/** An accepted socket whose protocol has not begun: it has a time for that, and is closed when something is wrong. */
export class Arrival {
  readonly socket: Socket
  /** What it is at, for the reason when it ends there. */
  stage: 'proxy.header' | 'tls' | 'websocket' = 'tls'
  /** What is to be said when it closes before it is settled. */
  whyClosed = ''
  /** Why it may not stay. */
  refusal: ConnectionRefusal | undefined
  readonly #lobby: Lobby
  readonly #deadline: NodeJS.Timeout
  #ends: Ends
  #settled = false

  constructor(socket: Socket, ends: Ends, lobby: Lobby) {
    this.socket = socket
    this.#ends = ends
    this.#lobby = lobby
    lobby.underWay.add(this)
    const { setupTimeoutMs } = lobby.options
    this.#deadline = setTimeout(
      () => this.refuse('setup.timeout', `its setup took more than ${setupTimeoutMs} ms`),
      setupTimeoutMs,
    )
    socket.on('error', ignore)
    socket.on('close', this.#closed)
  }

  get ends(): Ends {
    return this.#ends
  }

  /** The proxy says whose connection it is. */
  proxied({ source, destination }: ProxiedEnds): void {
    this.#ends = { host: source.host, remote: remoteOf(source.host, source.port), local: destination }
  }

  /** Asks the gate, now that the client is known. False: it is closed. */
  enter(): boolean {
    // who has gone meanwhile would never leave
    if (this.#settled) return false
    const { gate } = this.#lobby.options
    const { host } = this.#ends
    const refusal = gate.enter(host)
    if (refusal !== undefined) return this.#turnAway(refusal)
    this.socket.on('close', () => gate.leave(host))
    return true
  }

  /** Whoever settles it has it, and it goes: false when it is gone or refused. */
  settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    clearTimeout(this.#deadline)
    this.socket.off('close', this.#closed)
    this.#lobby.underWay.delete(this)
    return true
  }

  /** Counts it, once, and closes: at once, or as `close` does. */
  refuse(reason: SetupRefusal, why: string, close: () => void = () => this.socket.destroy()): void {
    if (!this.settle()) return
    if (this.refusal === undefined) this.#lobby.options.onRefused(reason, this.#ends.remote, why)
    close()
  }

  #turnAway(refusal: ConnectionRefusal): boolean {
    const { options, refused } = this.#lobby
    if (!refusal.mayBeTold || refused.size >= options.maxTold) {
      this.refuse(refusal.reason, refusal.why)
      return false
    }
    this.refusal = refusal
    options.onRefused(refusal.reason, this.#ends.remote, refusal.why)
    refused.add(this.socket)
    this.socket.once('close', () => refused.delete(this.socket))
    return true
  }

  /** A client that connects and says nothing is one that looks whether we are there. */
  readonly #closed = (): void => {
    if (this.socket.bytesRead > 0) this.refuse(this.stage, this.whyClosed)
    else this.settle()
  }
}
