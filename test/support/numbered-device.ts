import { createConnection, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'

export const numberedPayload = (device: string, number: number, bytes: number): Buffer =>
  Buffer.from(`${device}:${number}:`.padEnd(bytes, '.'))

const ackBytes = 4
const maxPacketId = 60_000

/**
 * Publishes numbered records at QoS 1 as fast as they are acknowledged, at most `inFlight` of them under way. The socket is read without a
 * parser: nothing but acknowledgements comes.
 */
export class NumberedDevice {
  readonly name: string
  acked = 0
  sent = 0
  /** The broker closed the connection. */
  cut = false
  readonly #socket: Socket
  readonly #topic: string
  readonly #bytes: number
  readonly #inFlight: number
  #limit = 0
  #restBytes = 0
  #changed: () => void = () => {}

  static async connect(
    port: number,
    options: { name: string; topic: string; bytes: number; inFlight: number },
  ): Promise<NumberedDevice> {
    return new NumberedDevice(await openMqtt(port, options.name), options)
  }

  private constructor(
    socket: Socket,
    { name, topic, bytes, inFlight }: { name: string; topic: string; bytes: number; inFlight: number },
  ) {
    this.name = name
    this.#socket = socket
    this.#topic = topic
    this.#bytes = bytes
    this.#inFlight = inFlight
    socket.on('data', chunk => this.#received(chunk.length))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.cut = true
      this.#changed()
    })
  }

  /** Publishes until so many have been sent in all; does not wait. */
  publishUntil(count: number): void {
    this.#limit = Math.max(this.#limit, count)
    this.#send()
  }

  /** Stops sending; resolves when everything sent is acknowledged. Rejects when the broker cut the connection. */
  async finish(): Promise<void> {
    this.#limit = Math.min(this.#limit, this.sent)
    await this.drained()
  }

  /** Resolves when everything asked for is acknowledged. */
  async drained(): Promise<void> {
    while (this.acked < this.#limit) {
      if (this.cut) throw new Error(`${this.name} was cut after ${this.acked} acknowledgements of ${this.sent}`)
      await new Promise<void>(resolve => {
        this.#changed = resolve
      })
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #received(bytes: number): void {
    this.acked += Math.floor((this.#restBytes + bytes) / ackBytes)
    this.#restBytes = (this.#restBytes + bytes) % ackBytes
    if (this.sent - this.acked <= this.#inFlight / 2) this.#send()
    this.#changed()
  }

  #send(): void {
    const count = Math.min(this.#limit - this.sent, this.#inFlight - (this.sent - this.acked))
    if (count <= 0) return
    const frames = Array.from({ length: count }, () => {
      const number = ++this.sent
      const payload = numberedPayload(this.name, number, this.#bytes)
      const messageId = (number % maxPacketId) + 1
      return encode({ cmd: 'publish', topic: this.#topic, payload, qos: 1, dup: false, retain: false, messageId })
    })
    this.#socket.write(Buffer.concat(frames))
  }
}

/** A subscriber that reads nothing after its SUBACK. */
export const stalledSubscriber = async (
  port: number,
  clientId: string,
  filter: string,
  qos: 0 | 1,
): Promise<Socket> => {
  const socket = await openMqtt(port, clientId)
  const answered = new Promise(resolve => socket.once('data', resolve))
  socket.write(encode({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos }] }))
  await answered
  socket.removeAllListeners('data').pause()
  return socket
}

const encode = (packet: Packet): Buffer => mqttPacket.generate(packet)

/** A connection whose CONNECT was accepted. */
const openMqtt = async (port: number, clientId: string): Promise<Socket> => {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  await new Promise(resolve => socket.once('connect', resolve))
  const answered = new Promise<Buffer>(resolve => socket.once('data', resolve))
  socket.write(encode({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId, clean: true, keepalive: 0 }))
  const connack = await answered
  if (connack[3] !== 0) throw new Error(`${clientId} was refused with ${connack[3]}`)
  return socket
}
