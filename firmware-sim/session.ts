import type { Duplex } from 'node:stream'
import { type ErrorWithReasonCode, type IConnackPacket, MqttClient, type Packet } from 'mqtt'
import type { Backoff } from './backoff.ts'
import { ResendStore } from './resend-store.ts'

/** What a device hears from its session. */
export interface SessionEvents {
  /** Connected, and everything sent before is acknowledged: new readings may be published. */
  readonly onReady: () => void
  readonly onAcknowledged: (seq: number) => void
  readonly onRefused: (seq: number) => void
  /** A reading goes out a second time. */
  readonly onResent: (seq: number) => void
  /** A connection could not be made or broke; the code is the system's or the broker's reason. */
  readonly onTrouble: (code: string) => void
}

export interface SessionOptions {
  readonly clientId: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly protocolVersion: 4 | 5
  readonly keepAliveSeconds: number
  readonly inFlight: number
  readonly mqttTopic: string
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly contentType: string
  readonly open: () => Duplex
  readonly backoff: Backoff
  readonly events: SessionEvents
}

const sessionExpirySeconds = 3_600
const connectTimeoutMs = 15_000
const closeTimeoutMs = 2_000
/** MQTT 5 reason of a PUBCOMP for a packet id the broker has forgotten; its PUBREC had accepted the publish. */
const packetIdNotFound = 146

/**
 * A device's MQTT session, one MQTT.js client for its whole life. It outlives connections: what is unacknowledged is sent
 * again, in order and with DUP, before anything new.
 */
export class Session {
  private readonly options: SessionOptions
  private readonly store = new ResendStore()
  private readonly client: MqttClient
  private readonly seqOfPacket = new Map<number, number>()
  private receiveMaximum = Number.POSITIVE_INFINITY
  private isStarted = false
  private isReady = false
  private isAsleep = false

  constructor(options: SessionOptions) {
    const { clientId, username, password, protocolVersion, keepAliveSeconds, open, backoff, qos } = options
    this.options = options
    this.client = new MqttClient(open, {
      clientId,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      protocolVersion,
      keepalive: keepAliveSeconds,
      reschedulePings: true,
      // a session left by an earlier run must not answer for packet ids of this one; 3.1.1 cannot begin anew and persist
      clean: protocolVersion === 5,
      ...(protocolVersion === 5 && qos > 0 ? { properties: { sessionExpiryInterval: sessionExpirySeconds } } : {}),
      reconnectPeriod: backoff.nextMs(),
      reconnectOnConnackError: true,
      connectTimeout: connectTimeoutMs,
      outgoingStore: this.store,
      queueQoSZero: false,
      resubscribe: false,
      timerVariant: 'native',
      log: noLog,
      manualConnect: true,
    })
    this.listen()
  }

  get isConnected(): boolean {
    return this.client.connected
  }

  /** Publishes that wait for their acknowledgement. */
  get unacknowledged(): number {
    return this.store.size
  }

  /** True when one more reading may be published now. */
  get hasRoom(): boolean {
    return this.isReady && this.store.size < Math.min(this.options.inFlight, this.receiveMaximum)
  }

  connect(): void {
    this.isStarted = true
    this.client.connect()
  }

  /** Sends a reading; only when there is room. Its outcome comes as an event, unless it stays in doubt. */
  publish(seq: number, payload: Buffer): void {
    const { mqttTopic, qos, retain, protocolVersion, contentType } = this.options
    const properties = protocolVersion === 5 ? { properties: { contentType } } : {}
    this.client.publish(mqttTopic, payload, { qos, retain, ...properties }, (error, packet) => {
      if (qos > 0) this.settle(seq, error, packet)
    })
    if (qos > 0) this.seqOfPacket.set(this.client.getLastMessageId(), seq)
  }

  /** Disconnects until `wake`. Only with nothing unacknowledged. */
  sleep(): void {
    if (this.isAsleep || !this.isReady) return
    this.isAsleep = true
    this.isReady = false
    this.client.end()
  }

  wake(): void {
    if (!this.isAsleep) return
    this.isAsleep = false
    this.client.reconnect({ outgoingStore: this.store })
  }

  /** Ends the session: politely when everything is acknowledged, and in any case soon. */
  close(): Promise<void> {
    const isPolite = this.isReady && this.store.size === 0
    this.isReady = false
    if (this.isAsleep || !this.isStarted) return Promise.resolve()
    // MQTT.js would connect once more when the stream closes after a forced end
    this.client.options.reconnectPeriod = 0
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.client.stream.destroy()
        resolve()
      }, closeTimeoutMs)
      const ended = () => {
        clearTimeout(timer)
        resolve()
      }
      // this MQTT 5 session is over for good: the broker need not keep it
      const forget = this.options.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 0 } } : {}
      if (isPolite) this.client.end(false, forget, ended)
      else this.client.end(true, ended)
    })
  }

  private listen(): void {
    const { events, backoff } = this.options
    this.client.on('connect', connack => this.becomeReady(connack))
    // MQTT.js reads the period when a connection closes, so it must be there before
    this.client.on('reconnect', () => {
      this.client.options.reconnectPeriod = backoff.nextMs()
    })
    this.client.on('close', () => {
      this.isReady = false
    })
    this.client.on('error', (error: Error & { code?: string | number }) => {
      events.onTrouble(typeof error.code === 'string' ? error.code : error.message)
    })
    this.client.on('packetsend', packet => {
      if (packet.cmd !== 'publish' || !packet.dup) return
      const seq = this.seqOfPacket.get(packet.messageId ?? 0)
      if (seq !== undefined) events.onResent(seq)
    })
  }

  private becomeReady(connack: IConnackPacket): void {
    const { backoff, events } = this.options
    backoff.reset()
    this.client.options.clean = false
    this.client.options.reconnectPeriod = backoff.nextMs()
    this.receiveMaximum = connack.properties?.receiveMaximum ?? Number.POSITIVE_INFINITY
    this.isReady = true
    events.onReady()
  }

  private settle(seq: number, error: Error | ErrorWithReasonCode | null | undefined, packet: Packet | undefined): void {
    const { events } = this.options
    if (packet?.messageId !== undefined) this.seqOfPacket.delete(packet.messageId)
    const code = error && 'code' in error ? error.code : undefined
    if (!error || (packet?.cmd === 'pubcomp' && code === packetIdNotFound)) events.onAcknowledged(seq)
    // without a code the connection ended and nothing is known: the reading stays in doubt
    else if (typeof code === 'number') events.onRefused(seq)
  }
}

const noLog = () => {}
