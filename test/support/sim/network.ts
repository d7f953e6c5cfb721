import type { Connection, ListenAddress, Listener, Network } from '../../../src/platform/network.ts'
import type { SimClock } from './clock.ts'
import type { SimRandom } from './random.ts'

/** State of all links. Bytes of a stream are never lost alone: a lost packet is a late one, a cut link ends the stream. */
export interface LinkState {
  latencyMs: number
  /** Share of chunks that are sent again after `retransmitMs`. */
  loss: number
  retransmitMs: number
  /** Everything sent stays under way: no answer, no error. */
  blackHole: boolean
}

const refused = (address: ListenAddress): Error =>
  Object.assign(new Error(`connect ECONNREFUSED ${address.host}:${address.port}`), { code: 'ECONNREFUSED' })

class SimConnection implements Connection {
  readonly remote: string
  readonly local: { readonly host: string; readonly port: number }
  pendingBytes = 0
  peer: SimConnection | undefined
  readonly #clock: SimClock
  readonly #random: SimRandom
  readonly #link: LinkState
  readonly #arrived: Buffer[] = []
  #arrivesAtMs = 0
  #paused = false
  #ended = false
  #closed = false
  #onData: ((chunk: Buffer) => void) | undefined
  #onClose: (error?: Error) => void = () => {}
  #onDrain: () => void = () => {}

  constructor(clock: SimClock, random: SimRandom, link: LinkState, remote: string, local: ListenAddress) {
    this.#clock = clock
    this.#random = random
    this.#link = link
    this.remote = remote
    this.local = local
  }

  onData(callback: (chunk: Buffer) => void): void {
    this.#onData = callback
    this.#deliver()
  }

  onClose(callback: (error?: Error) => void): void {
    this.#onClose = callback
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#closed || this.#ended) return true
    const bytes = Buffer.concat(chunks)
    this.pendingBytes += bytes.length
    this.#send(() => {
      this.pendingBytes -= bytes.length
      this.peer?.receive(bytes)
      if (this.pendingBytes === 0) this.#onDrain()
    })
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#send(() => {
      this.peer?.closed()
      this.closed()
    })
  }

  destroy(): void {
    if (this.#closed) return
    this.#send(() => this.peer?.closed(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })))
    this.closed()
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return
    this.#arrived.push(bytes)
    this.#deliver()
  }

  closed(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#clock.after(0, () => this.#onClose(error))
  }

  /** In order, each after the link's latency; split as streams are. */
  #send(arrive: () => void): void {
    const { latencyMs, loss, retransmitMs } = this.#link
    const late = this.#random.chance(loss) ? retransmitMs : 0
    this.#arrivesAtMs = Math.max(
      this.#arrivesAtMs,
      this.#clock.nowMs + latencyMs * (0.5 + this.#random.fraction()) + late,
    )
    const whenUp = (): void => {
      if (this.#link.blackHole) this.#clock.after(retransmitMs, whenUp)
      else arrive()
    }
    this.#clock.after(this.#arrivesAtMs - this.#clock.nowMs, whenUp)
  }

  #deliver(): void {
    while (!this.#paused && !this.#closed && this.#onData !== undefined && this.#arrived.length > 0) {
      const chunk = this.#arrived.shift()!
      const cut = this.#random.chance(0.3) ? this.#random.below(chunk.length) : 0
      if (cut > 0) this.#onData(chunk.subarray(0, cut))
      if (!this.#closed) this.#onData(chunk.subarray(cut))
    }
  }
}

/** Streams between the parts of one simulation. */
export class SimNetwork implements Network {
  readonly link: LinkState = { latencyMs: 1, loss: 0, retransmitMs: 200, blackHole: false }
  readonly #clock: SimClock
  readonly #random: SimRandom
  readonly #listeners = new Map<number, (connection: Connection) => void>()
  readonly #connections: SimConnection[] = []
  #nextPort = 40_000

  constructor(clock: SimClock, random: SimRandom) {
    this.#clock = clock
    this.#random = random
  }

  async listen(address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port
    if (this.#listeners.has(port)) {
      throw Object.assign(new Error(`listen EADDRINUSE ${address.host}:${port}`), { code: 'EADDRINUSE' })
    }
    this.#listeners.set(port, onConnection)
    return {
      address: { host: address.host, port },
      close: async () => {
        this.#listeners.delete(port)
      },
    }
  }

  connect(address: ListenAddress, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (this.link.blackHole) {
        const timeout = () => reject(Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' }))
        this.#clock.after(timeoutMs, timeout)
        return
      }
      this.#clock.after(this.link.latencyMs, () => {
        const accept = this.#listeners.get(address.port)
        if (accept === undefined) return reject(refused(address))
        const from = { host: address.host, port: this.#nextPort++ }
        const dialled = this.#connection(`${address.host}:${address.port}`, from)
        const accepted = this.#connection(`${from.host}:${from.port}`, address)
        dialled.peer = accepted
        accepted.peer = dialled
        accept(accepted)
        resolve(dialled)
      })
    })
  }

  /** Ends every connection with an error on both sides. */
  cut(): void {
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    for (const connection of this.#connections.splice(0)) connection.closed(error)
  }

  #connection(remote: string, local: ListenAddress): SimConnection {
    const connection = new SimConnection(this.#clock, this.#random, this.link, remote, local)
    this.#connections.push(connection)
    return connection
  }
}
