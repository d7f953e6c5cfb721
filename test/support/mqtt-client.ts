import { createConnection, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'

/** A raw MQTT client for tests: sends packets as given and keeps everything that comes, in order. */
export class RawMqttClient {
  readonly packets: Packet[] = []
  closed = false
  /** For clients that send nonsense: what comes back need not parse. */
  ignoreErrors = false
  readonly #socket: Socket
  readonly #version: number
  #changed: () => void = () => {}

  static async open(port: number, version = 4): Promise<RawMqttClient> {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawMqttClient(socket, version)
  }

  /** Opens, sends CONNECT, waits for CONNACK. */
  static async connect(
    port: number,
    options: { clientId: string; version?: number; clean?: boolean; keepalive?: number; [other: string]: unknown },
  ): Promise<RawMqttClient> {
    const { clientId, version = 4, clean = true, keepalive = 0, ...rest } = options
    const client = await RawMqttClient.open(port, version)
    client.send({
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version as 4,
      clientId,
      clean,
      keepalive,
      ...rest,
    })
    await client.waitFor(packet => packet.cmd === 'connack')
    return client
  }

  private constructor(socket: Socket, version: number) {
    this.#socket = socket
    this.#version = version
    const parser = mqttPacket.parser({ protocolVersion: version } as never)
    parser.on('packet', packet => {
      this.packets.push(packet)
      this.#changed()
    })
    parser.on('error', error => {
      if (!this.ignoreErrors) throw error
    })
    socket.on('data', chunk => parser.parse(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#changed()
    })
  }

  /** The packets as bytes. */
  encode(...packets: Packet[]): Buffer {
    return Buffer.concat(
      packets.map(packet => mqttPacket.generate(packet, { protocolVersion: this.#version } as never)),
    )
  }

  /** All packets in one write. */
  send(...packets: Packet[]): void {
    this.#socket.write(this.encode(...packets))
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  publish(topic: string, payload: string | Buffer, qos: 0 | 1 | 2, messageId?: number, more: object = {}): void {
    this.send(publishPacket(topic, payload, qos, messageId, more))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Resolves with the first packet, present or coming, that fits. Rejects when the connection closes before. */
  async waitFor(fits: (packet: Packet) => boolean): Promise<Packet> {
    let at = 0
    for (;;) {
      for (; at < this.packets.length; at++) if (fits(this.packets[at]!)) return this.packets[at]!
      if (this.closed) throw new Error(`the connection closed; came: ${this.packets.map(({ cmd }) => cmd).join(', ')}`)
      await this.#nextChange()
    }
  }

  async waitCount(cmd: string, count: number): Promise<Packet[]> {
    for (;;) {
      const found = this.packets.filter(packet => packet.cmd === cmd)
      if (found.length >= count) return found
      if (this.closed) throw new Error(`the connection closed with ${found.length} of ${count} ${cmd}`)
      await this.#nextChange()
    }
  }

  /** Resolves when more than `count` packets have come, or the connection has closed. */
  async waitPast(count: number): Promise<void> {
    while (this.packets.length <= count && !this.closed) await this.#nextChange()
  }

  async waitClosed(): Promise<void> {
    while (!this.closed) await this.#nextChange()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #nextChange(): Promise<void> {
    return new Promise(resolve => {
      this.#changed = resolve
    })
  }
}

export const publishPacket = (
  topic: string,
  payload: string | Buffer,
  qos: 0 | 1 | 2,
  messageId?: number,
  more: object = {},
): Packet => ({
  cmd: 'publish',
  topic,
  payload,
  qos,
  dup: false,
  retain: false,
  ...(messageId === undefined ? {} : { messageId }),
  ...more,
})
