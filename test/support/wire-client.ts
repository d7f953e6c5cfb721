import { createConnection, type Socket } from 'node:net'
import {
  ack,
  type Connect,
  connect,
  type PacketType,
  type Properties,
  type Publish,
  packet,
  pingreq,
  properties,
  publish,
  type Received,
  readPacket,
  subscribe,
  unsubscribe,
} from './mqtt-wire.ts'

/** How long a test waits for what must come. */
const patienceMs = 15_000

/**
 * An MQTT client that a test leads by hand: bytes out, packets in, nothing by itself. What the broker must not send at all fails the
 * test that asks next.
 */
export class WireClient {
  readonly version: number
  connack: Received | undefined
  readonly #socket: Socket
  readonly #inbox: Received[] = []
  #input = Buffer.of()
  #fault: Error | undefined
  #isClosed = false
  #lastId = 0
  #changed: () => void = () => {}

  static async open(port: number, version = 5): Promise<WireClient> {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new WireClient(socket, version)
  }

  private constructor(socket: Socket, version: number) {
    this.#socket = socket
    this.version = version
    socket.on('data', chunk => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      this.#changed()
    })
  }

  /** Sends CONNECT and returns the answer; `connack` keeps it. */
  async connect(options: Connect = {}): Promise<Received> {
    this.send(connect({ version: this.version, ...options }))
    this.connack = await this.take('connack')
    return this.connack
  }

  send(...bytes: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(bytes))
  }

  /** A packet identifier that was not used before. */
  nextId(): number {
    return ++this.#lastId
  }

  /** The first packet that has come or comes; throws when the connection closes instead. */
  next(): Promise<Received> {
    return this.#find(() => true, 'anything')
  }

  /** The first packet of this type, and with this packet identifier when given; earlier ones of other types stay. */
  take(type: PacketType, id?: number): Promise<Received> {
    const fits = (one: Received): boolean => one.type === type && (id === undefined || one.id === id)
    return this.#find(fits, id === undefined ? type : `${type} ${id}`)
  }

  /** Publishes and goes through the whole exchange; the answer of QoS 1 and 2 that says whether it was taken. */
  async publish(topic: string, payload = '', qos = 0, more: Partial<Publish> = {}): Promise<Received | undefined> {
    const id = qos === 0 ? undefined : (more.id ?? this.nextId())
    const numbered = id === undefined ? {} : { id }
    this.send(publish({ version: this.version, topic, payload, qos, ...more, ...numbered }))
    if (id === undefined) return undefined
    if (qos === 1) return this.take('puback', id)
    const pubrec = await this.take('pubrec', id)
    if (pubrec.reason! >= 0x80) return pubrec
    this.send(ack('pubrel', id))
    await this.take('pubcomp', id)
    return pubrec
  }

  /** Subscribes to one filter; the SUBACK. */
  subscribe(filter: string, options = 0, values: Properties = {}): Promise<Received> {
    const id = this.nextId()
    this.send(subscribe(id, [[filter, options]], { version: this.version, properties: values }))
    return this.take('suback', id)
  }

  unsubscribe(...filters: readonly string[]): Promise<Received> {
    const id = this.nextId()
    this.send(unsubscribe(id, filters, this.version))
    return this.take('unsuback', id)
  }

  /** The next PUBLISH, its exchange gone through. */
  async accept(): Promise<Received> {
    const found = await this.take('publish')
    if (found.qos === 1) this.send(ack('puback', found.id!))
    if (found.qos === 2) {
      this.send(ack('pubrec', found.id!))
      await this.take('pubrel', found.id)
      this.send(ack('pubcomp', found.id!))
    }
    return found
  }

  /** PINGREQ; everything that came before its answer. */
  async ping(): Promise<Received[]> {
    this.send(pingreq())
    await this.take('pingresp')
    return this.#inbox.splice(0)
  }

  /** Says goodbye with this reason code and waits until the connection is closed. */
  async disconnect(reason = 0, values: Properties = {}): Promise<void> {
    const body = this.version !== 5 ? [] : [Buffer.of(reason), properties(values)]
    this.send(packet('disconnect', 0, ...body))
    this.#socket.end()
    await this.closed()
  }

  /** Waits until the broker has closed; what came before and was not taken. */
  async closed(): Promise<Received[]> {
    await this.#until(() => this.#isClosed, 'the connection is closed')
    if (this.#fault !== undefined) throw this.#fault
    return this.#inbox.splice(0)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Breaks the connection without a word. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Stops and goes on taking what the broker sends. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async #find(fits: (one: Received) => boolean, what: string): Promise<Received> {
    let at = -1
    await this.#until(() => {
      at = this.#inbox.findIndex(fits)
      return at >= 0 || this.#isClosed
    }, what)
    if (at < 0) throw new Error(`closed instead of ${what}; came: ${this.#came()}`)
    return this.#inbox.splice(at, 1)[0]!
  }

  async #until(isThere: () => boolean, what: string): Promise<void> {
    const endMs = Date.now() + patienceMs
    while (!isThere()) {
      if (this.#fault !== undefined) throw this.#fault
      const leftMs = endMs - Date.now()
      if (leftMs <= 0) throw new Error(`waited in vain for ${what}; came: ${this.#came()}`)
      await new Promise<void>(resolve => {
        const wait = setTimeout(resolve, leftMs)
        this.#changed = () => {
          clearTimeout(wait)
          resolve()
        }
      })
    }
  }

  #came(): string {
    return this.#inbox.map(({ type, reason }) => (reason === undefined ? type : `${type} ${reason}`)).join(', ')
  }

  #read(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk])
    try {
      for (let found = this.#readOne(); found !== undefined; found = this.#readOne()) this.#inbox.push(found)
    } catch (error) {
      this.#fault = error as Error
      this.#socket.destroy()
    }
    this.#changed()
  }

  #readOne(): Received | undefined {
    const found = readPacket(this.#input, this.version)
    if (found !== undefined) this.#input = this.#input.subarray(found.bytes.length)
    return found
  }
}
