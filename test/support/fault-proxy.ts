import { connect, createServer, type Server, type Socket } from 'node:net'

/** What the way through a `FaultProxy` is like. */
export interface ProxiedLink {
  /** One way. */
  readonly latencyMs: number
  /** Of all connections together, each way; Infinity is no limit. */
  readonly bytesPerSecond: number
  /** Share of the segments that are lost; who sent them has to hear of it and send them again. None when absent. */
  readonly loss?: number
}

/** Names of what is on its way to the broker, and from it. */
export type Direction = 'up' | 'down'

const segmentBytes = 1400
/** Kept for a slow side, as the buffers of a modem; then the other one is not read. */
const bufferBytes = 32 << 10

/**
 * A TCP proxy on 127.0.0.1 that does to connections what bad links do. It acts on streams: for lost packets and half-open connections as the
 * kernel sees them there is `LinkNamespace`.
 */
export class FaultProxy {
  link: ProxiedLink = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
  /** Connections accepted so far. */
  accepted = 0
  /** Bytes handed on so far. */
  readonly passedBytes: Record<Direction, number> = { up: 0, down: 0 }
  /** Where everything is handed on to. */
  targetPort: number
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  /** When the last byte that was taken will have gone out, by direction. */
  readonly #busyUntilMs: Record<Direction, number> = { up: 0, down: 0 }
  readonly #cutAfter: Partial<Record<Direction, number>> = {}
  #segments = 0
  #blackHole = false
  #refuses = false
  #port = 0

  /** Hands everything on to this port of 127.0.0.1. */
  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort)
    await proxy.#listen()
    return proxy
  }

  private constructor(targetPort: number) {
    this.targetPort = targetPort
    this.#server = createServer({ pauseOnConnect: true }, socket => this.#accept(socket))
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Nothing gets through and nobody is told: connections are accepted, bytes wait. */
  blackHole(): void {
    this.#blackHole = true
  }

  /** Connections are reset as soon as they are made, and all that there are. */
  refuse(): void {
    this.#refuses = true
    this.reset()
  }

  /** What waited in a black hole arrives, new connections get through. */
  restore(): void {
    this.#blackHole = false
    this.#refuses = false
    delete this.#cutAfter.up
    delete this.#cutAfter.down
    for (const pair of this.#pairs) pair.go()
  }

  /** RST to both sides of all connections. */
  reset(): void {
    for (const pair of this.#pairs) pair.reset()
  }

  /** RST to the broker's side alone; the client's stays open and hears nothing. Down: the other way round. */
  halfOpen(direction: Direction = 'up'): void {
    for (const pair of this.#pairs) pair.forget(direction)
  }

  /** Resets all connections when so many more bytes have gone this way: in the middle of a request, or of an answer. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cutAfter[direction] = bytes
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.reset()
    await closed
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address()
        if (address !== null && typeof address !== 'string') this.#port = address.port
        resolve()
      })
    })
  }

  #accept(client: Socket): void {
    this.accepted++
    if (this.#refuses) return void client.resetAndDestroy()
    const broker = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true })
    client.setNoDelay(true)
    const pair = new Pair(client, broker, {
      pass: (direction, chunk) => this.#pass(direction, chunk),
      isHeld: () => this.#blackHole,
      arrivesAtMs: (direction, bytes) => this.#arrivesAtMs(direction, bytes),
      closed: () => this.#pairs.delete(pair),
    })
    this.#pairs.add(pair)
    pair.go()
  }

  #arrivesAtMs(direction: Direction, bytes: number): number {
    const startMs = Math.max(Date.now(), this.#busyUntilMs[direction])
    const { latencyMs, bytesPerSecond, loss = 0 } = this.link
    this.#busyUntilMs[direction] = startMs + (bytes * 1000) / bytesPerSecond
    // what comes behind it on its connection waits for it
    const isLost = Math.floor(++this.#segments * loss) > Math.floor((this.#segments - 1) * loss)
    return this.#busyUntilMs[direction] + (isLost ? 3 : 1) * latencyMs
  }

  /** What of the chunk still gets through. */
  #pass(direction: Direction, chunk: Buffer): Buffer {
    const left = this.#cutAfter[direction] ?? Number.POSITIVE_INFINITY
    const passed = chunk.subarray(0, Math.min(left, chunk.length))
    this.passedBytes[direction] += passed.length
    if (left <= chunk.length) {
      delete this.#cutAfter[direction]
      // what was handed on before goes out first
      setImmediate(() => this.reset())
    } else if (left !== Number.POSITIVE_INFINITY) this.#cutAfter[direction] = left - chunk.length
    return passed
  }
}

interface Way {
  pass(direction: Direction, chunk: Buffer): Buffer
  isHeld(): boolean
  arrivesAtMs(direction: Direction, bytes: number): number
  closed(): void
}

/** One connection through the proxy: its client's side and its broker's. */
class Pair {
  readonly #streams: readonly [Stream, Stream]
  readonly #way: Way
  #over = false

  constructor(client: Socket, broker: Socket, way: Way) {
    this.#way = way
    this.#streams = [new Stream(client, broker, way, 'up'), new Stream(broker, client, way, 'down')]
    for (const socket of [client, broker]) {
      socket.on('error', () => this.reset())
      socket.on('close', () => {
        if (client.destroyed && broker.destroyed) this.#end()
      })
    }
  }

  go(): void {
    for (const stream of this.#streams) stream.go()
  }

  reset(): void {
    for (const { from } of this.#streams) from.resetAndDestroy()
    this.#end()
  }

  /** One side is reset; what the other one says goes nowhere. */
  forget(direction: Direction): void {
    const [up, down] = this.#streams
    const [kept, gone] = direction === 'up' ? [up.from, down.from] : [down.from, up.from]
    gone.removeAllListeners('error').on('error', () => undefined)
    gone.resetAndDestroy()
    for (const stream of this.#streams) stream.forget()
    kept.resume()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#way.closed()
  }
}

/** The bytes of one direction, under way. */
class Stream {
  readonly from: Socket
  readonly #to: Socket
  readonly #way: Way
  readonly #direction: Direction
  /** The end of the stream is an undefined chunk. */
  #waiting: { readonly chunk: Buffer | undefined; readonly atMs: number }[] = []
  #waitingBytes = 0
  #timer: NodeJS.Timeout | undefined
  #forgotten = false

  constructor(from: Socket, to: Socket, way: Way, direction: Direction) {
    this.from = from
    this.#to = to
    this.#way = way
    this.#direction = direction
    from.on('data', chunk => this.#take(chunk))
    from.on('end', () => this.#push(undefined))
  }

  /** Hands on what is due, and sets the time for the next. */
  go(): void {
    clearTimeout(this.#timer)
    while (!this.#way.isHeld() && (this.#waiting[0]?.atMs ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      const { chunk } = this.#waiting.shift()!
      if (chunk === undefined) this.#to.end()
      else {
        this.#waitingBytes -= chunk.length
        this.#to.write(this.#way.pass(this.#direction, chunk))
      }
    }
    if (this.#waitingBytes < bufferBytes) this.from.resume()
    const next = this.#waiting[0]
    if (next !== undefined && !this.#way.isHeld())
      this.#timer = setTimeout(() => this.go(), Math.max(1, next.atMs - Date.now()))
  }

  forget(): void {
    this.#forgotten = true
    clearTimeout(this.#timer)
    this.#waiting = []
  }

  #take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += segmentBytes) this.#push(bytes.subarray(at, at + segmentBytes))
  }

  #push(chunk: Buffer | undefined): void {
    if (this.#forgotten) return
    const size = chunk?.length ?? 0
    this.#waiting.push({ chunk, atMs: this.#way.arrivesAtMs(this.#direction, size) })
    this.#waitingBytes += size
    if (this.#waitingBytes >= bufferBytes) this.from.pause()
    this.go()
  }
}
