import mqttPacket, { type IPublishPacket, type Packet, type Parser } from 'mqtt-packet'
import type { Connection } from '../../../src/platform/network.ts'
import type { SimClock } from './clock.ts'
import { must } from './must.ts'
import type { SimNetwork } from './network.ts'
import type { SimRandom } from './random.ts'

export interface DeviceOptions {
  readonly id: string
  /** Filters that it subscribes to with QoS 2. */
  readonly filters: readonly string[]
  /** Its session never ends. Otherwise it has a short life, and connections that begin anew. */
  readonly isSteady: boolean
  /** Share of the publications that it refuses. */
  readonly refuses: number
  /** Told of each packet, for the history of a run. */
  readonly note: (text: string) => void
}

/** What a device takes as a command, in the order in which it did. */
export interface Taken {
  readonly topic: string
  readonly value: string
}

export const simMqttPort = 1883

const protocolVersion = 5
const address = { host: 'gateway', port: simMqttPort }
const connectTimeoutMs = 3_000
const silenceMs = 20_000
const refusal = 0x83
const neverExpires = 0xffff_ffff

/**
 * A device that speaks MQTT 5 as the standard asks (section 4.3, method B): what it has said to have it has, and of QoS 2 it takes a packet id once
 * until PUBREL. It leaves, and comes back, and loses connections with anything under way. Its memory outlives the gateway's crashes.
 */
export class SimDevice {
  readonly taken: Taken[] = []
  /** Values that it has refused at least once. */
  readonly refused = new Set<string>()
  readonly options: DeviceOptions
  /** While it is away it does not come back. */
  isAway = false
  readonly #random: SimRandom
  #clock!: SimClock
  #network!: SimNetwork
  /** Packet ids of QoS 2 that wait for PUBREL. */
  readonly #received = new Set<number>()
  /** The gateway has confirmed a session with its subscriptions: from then on a steady device finds it again. */
  #hasSession = false
  /** Of its CONNECTs since the last CONNACK one may have begun another session. */
  #unanswered = 0
  #connection: Connection | undefined
  #heardAtMs = 0
  #answersAtMs = 0

  constructor(random: SimRandom, options: DeviceOptions) {
    this.#random = random
    this.options = options
  }

  /** Goes on against a gateway that has started again. */
  attach(clock: SimClock, network: SimNetwork): void {
    this.#clock = clock
    this.#network = network
    this.#connection = undefined
    this.#comeLater()
    this.#watch()
  }

  /** Ends its connection without a word. */
  vanish(): void {
    this.#connection?.destroy()
  }

  #comeLater(): void {
    this.#clock.after(this.#random.below(2_000), () => void this.#come())
  }

  /** A connection that nothing comes from is given up. */
  #watch(): void {
    this.#clock.after(silenceMs, () => {
      if (this.#clock.nowMs - this.#heardAtMs > silenceMs) this.vanish()
      else this.#send({ cmd: 'pingreq' })
      this.#watch()
    })
  }

  async #come(): Promise<void> {
    if (this.isAway) return this.#comeLater()
    const connection = await this.#network.connect(address, connectTimeoutMs).catch(() => undefined)
    if (connection === undefined) return this.#comeLater()
    this.#connection = connection
    this.#heardAtMs = this.#clock.nowMs
    const parser: Parser = mqttPacket.parser({ protocolVersion })
    parser.on('packet', (packet: Packet) => this.#take(connection, packet))
    connection.onData(chunk => parser.parse(chunk))
    connection.onClose(() => {
      if (this.#connection === connection) this.#connection = undefined
      this.#comeLater()
    })
    const { id, isSteady } = this.options
    const clean = !isSteady && this.#random.chance(0.3)
    const sessionExpiryInterval = isSteady ? neverExpires : this.#random.pick([0, 3, 30])
    const properties = { sessionExpiryInterval, receiveMaximum: this.#random.pick([1, 2, 10]) }
    this.#unanswered++
    this.#send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion, clientId: id, clean, keepalive: 60, properties })
  }

  #take(connection: Connection, packet: Packet): void {
    if (this.#connection !== connection) return
    this.#heardAtMs = this.#clock.nowMs
    this.#note('<', packet)
    if (packet.cmd === 'connack') this.#begin(packet.sessionPresent)
    else if (packet.cmd === 'suback') this.#hasSession = true
    else if (packet.cmd === 'publish') this.#answerLater(() => this.#taken(packet))
    else if (packet.cmd === 'pubrel') {
      const messageId = packet.messageId!
      this.#answerLater(() => {
        this.#received.delete(messageId)
        this.#send({ cmd: 'pubcomp', messageId })
      })
    }
  }

  #begin(isPresent: boolean): void {
    const { id, filters, isSteady } = this.options
    must(isPresent || !isSteady || !this.#hasSession, () => `the gateway has lost the session of ${id}`)
    const maySurprise = this.#unanswered > 1 && !isSteady
    this.#unanswered = 0
    if (isPresent && this.#hasSession && !maySurprise) return
    if (!isPresent || maySurprise) this.#received.clear()
    this.#hasSession = false
    const subscriptions = filters.map(topic => ({ topic, qos: 2 as const, nl: false, rap: false, rh: 0 }))
    this.#send({ cmd: 'subscribe', messageId: 1, subscriptions })
  }

  #taken({ topic, payload, qos, messageId }: IPublishPacket): void {
    if (this.#random.chance(this.options.refuses) && !this.#received.has(messageId!)) {
      this.refused.add(payload.toString())
      this.#send({ cmd: qos === 2 ? 'pubrec' : 'puback', messageId: messageId!, reasonCode: refusal })
      return
    }
    if (qos === 1 || !this.#received.has(messageId!)) this.taken.push({ topic, value: payload.toString() })
    if (qos === 2) this.#received.add(messageId!)
    this.#send({ cmd: qos === 2 ? 'pubrec' : 'puback', messageId: messageId! })
  }

  /** In order, on this connection or not at all. */
  #answerLater(answer: () => void): void {
    const connection = this.#connection
    this.#answersAtMs = Math.max(this.#answersAtMs, this.#clock.nowMs + this.#random.pick([0, 0, 30]))
    this.#clock.after(this.#answersAtMs - this.#clock.nowMs, () => {
      if (this.#connection === connection) answer()
    })
  }

  #send(packet: Packet): void {
    this.#note('>', packet)
    this.#connection?.write([mqttPacket.generate(packet, { protocolVersion })])
  }

  #note(way: string, packet: Packet): void {
    const { cmd, messageId, topic, sessionPresent } = packet as Partial<IPublishPacket> & { sessionPresent?: boolean }
    const said = [messageId, topic, sessionPresent].filter(part => part !== undefined)
    this.options.note(`${this.#clock.nowMs.toFixed(1)} ${this.options.id} ${way} ${cmd} ${said.join(' ')}`)
  }
}
