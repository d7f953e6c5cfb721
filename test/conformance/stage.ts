import { expect } from 'vitest'
import type { Settings } from '../../src/config/settings.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { MqttServer } from '../support/mqtt-server.ts'
import { type Connect, connect, type Properties, type Received } from '../support/mqtt-wire.ts'
import { SkippingClock } from '../support/skipping-clock.ts'
import { WireClient } from '../support/wire-client.ts'
import { askOnce } from './ask-once.ts'

type ClientOptions = Omit<Connect, 'clientId'>

const markerTopic = 'marker'

/** A broker of its own for one case, the clients that meet it, and its clock. */
export class Stage {
  readonly clock = new SkippingClock()
  #server: MqttServer
  readonly #clients: WireClient[] = []
  #markers = 0

  static async open(settings: Partial<Settings> = {}, log: MemoryLog = new MemoryLog()): Promise<Stage> {
    const clock = new SkippingClock()
    return new Stage(await MqttServer.start({ settings, clock, log, authentication: askOnce }), clock)
  }

  private constructor(server: MqttServer, clock: SkippingClock) {
    this.#server = server
    this.clock = clock
  }

  get server(): MqttServer {
    return this.#server
  }

  /** The broker ends at once, and starts again on what its log has kept. All connections are lost. */
  async restart(log: MemoryLog): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy()
    await this.#server.stop()
    this.#server = await MqttServer.start({ clock: this.clock, log, authentication: askOnce })
  }

  /** A connection without CONNECT. */
  async open(version = 5): Promise<WireClient> {
    const client = await WireClient.open(this.server.port, version)
    this.#clients.push(client)
    return client
  }

  /** A client that is connected. MQTT 5, Clean Start and no session expiry unless `options` say more. */
  async client(clientId: string, options: ClientOptions = {}): Promise<WireClient> {
    const client = await this.open(options.version)
    const { reason } = await client.connect({ clientId, ...options })
    if (reason !== 0) throw new Error(`CONNACK ${reason}`)
    return client
  }

  /** A client whose session outlives its connections by `seconds`, as it was left. */
  returning(clientId: string, properties: Properties = {}, seconds = 3600): Promise<WireClient> {
    return this.client(clientId, { clean: false, properties: { sessionExpiry: seconds, ...properties } })
  }

  /** Everything that the client was sent and its test has not taken, once all publishes acknowledged so far have gone their way. */
  async untaken(client: WireClient): Promise<Received[]> {
    const topic = `${markerTopic}/${++this.#markers}`
    const publisher = await this.client(`marker ${this.#markers}`, { version: client.version })
    await client.subscribe(topic)
    await publisher.publish(topic, '', 1)
    const found: Received[] = []
    for (;;) {
      const one = await client.next()
      if (one.topic === topic) break
      found.push(one)
    }
    await publisher.disconnect()
    await client.unsubscribe(topic)
    return found.concat(await client.ping()).filter(one => one.topic !== topic)
  }

  /** Waits until the broker has noticed that the client is gone. */
  async gone(clientId: string): Promise<void> {
    while (this.server.front.clients().some(client => client.clientId === clientId)) {
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  /** Breaks the client's connection; the broker has noticed. */
  async lose(client: WireClient, clientId: string): Promise<void> {
    client.destroy()
    await this.gone(clientId)
  }

  /** Time goes on, for the log too. */
  async skip(seconds: number): Promise<void> {
    await this.clock.skip(seconds * 1000)
    this.server.log.logAge += seconds
  }

  /** What a connected client sends here ends its connection with DISCONNECT and one of these reason codes (MQTT 5). */
  async refuses(bytes: Uint8Array, reasons: readonly number[]): Promise<void> {
    const client = await this.client(`refused ${this.#clients.length}`)
    client.send(bytes)
    await this.#ends(client, reasons)
  }

  /** The same for a client at hand. */
  async #ends(client: WireClient, reasons: readonly number[]): Promise<void> {
    const last = (await client.closed()).at(-1)
    expect(last?.type, 'the last packet').toBe('disconnect')
    expect(reasons.map(hex)).toContain(hex(last!.reason!))
  }

  /** The broker ends the client's connection with one of these reason codes; what came before has no meaning. */
  ends(client: WireClient, ...reasons: readonly number[]): Promise<void> {
    return this.#ends(client, reasons)
  }

  /** A CONNECT that the broker does not accept: it closes, and CONNACK, when there is one, has one of these reason codes. */
  async refusesConnect(
    packet: Connect | Uint8Array,
    reasons: readonly number[] = [0x81, 0x82],
    version = 5,
  ): Promise<Received[]> {
    const client = await this.open(version)
    client.send(packet instanceof Uint8Array ? packet : connect({ clientId: 'refused', ...packet }))
    const found = await client.closed()
    for (const one of found) {
      expect(one).toMatchObject({ type: 'connack', sessionPresent: false })
      expect(reasons.map(hex)).toContain(hex(one.reason!))
    }
    expect(found.length).toBeLessThan(2)
    return found
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.server.stop()
  }
}

export const hex = (reason: number): string => `0x${reason.toString(16).padStart(2, '0')}`

/** Topics or payloads of publishes, in their order. */
export const payloads = (packets: readonly Received[]): string[] =>
  packets.flatMap(({ type, payload }) => (type === 'publish' ? [payload!] : []))
