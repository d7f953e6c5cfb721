import type { Socket } from 'node:net'
import type { SetupRefusal, StreamOptions } from '../stream-server.ts'
import { type Ends, endsOf } from './network.ts'

/** An accepted socket whose protocol has not begun: it has a time for that, and is closed when something is wrong. */
export class Arrival {
  readonly socket: Socket
  readonly ends: Ends
  /** What it is at, for the reason when it ends there. */
  stage: 'tls' | 'websocket' = 'tls'
  readonly #underWay: Set<Arrival>
  readonly #onRefused: StreamOptions['onRefused']
  readonly #deadline: NodeJS.Timeout
  #settled = false

  /** `underWay` has those of the listener that are not settled. */
  constructor(socket: Socket, { setupTimeoutMs, onRefused }: StreamOptions, underWay: Set<Arrival>) {
    this.socket = socket
    this.#underWay = underWay.add(this)
    this.ends = endsOf(socket)
    this.#onRefused = onRefused
    this.#deadline = setTimeout(
      () => this.refuse('setup.timeout', `its setup took more than ${setupTimeoutMs} ms`),
      setupTimeoutMs,
    )
    socket.on('error', () => undefined)
    socket.once('close', () => this.#closed())
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
    this.#onRefused(reason, this.ends.remote, why)
    close()
  }

  /** A client that connects and says nothing is one that looks whether we are there. */
  #closed(): void {
    if (this.socket.bytesRead > 0) this.refuse(this.stage, 'the client closed the connection before it was set up')
    else this.settle()
  }
}
