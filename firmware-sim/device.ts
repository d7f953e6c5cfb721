import { encodePayload } from '../devices/payload.ts'
import type { DeviceProfile, Encoding, Reading } from '../devices/profile.ts'
import { fillTopic } from '../devices/topic.ts'
import { Backoff } from './backoff.ts'
import type { DeviceLedger } from './device-ledger.ts'
import type { Link } from './link.ts'
import { OfflineBuffer } from './offline-buffer.ts'
import type { Random } from './random.ts'
import { readingsOf } from './readings.ts'
import { Session } from './session.ts'

export interface DeviceOptions {
  readonly name: string
  readonly site: string
  readonly profile: DeviceProfile
  readonly readingsPerSecond: number
  readonly encoding: Encoding
  readonly qos: 0 | 1 | 2
  readonly username: string | undefined
  readonly password: string | undefined
  readonly random: Random
  readonly reconnect: { readonly minMs: number; readonly maxMs: number }
  readonly link: Link
  readonly ledger: DeviceLedger
  /** Device time at the start of the run, milliseconds since 1970. */
  readonly startMs: number
  /** Milliseconds since the start of the run. */
  readonly elapsedMs: () => number
  readonly onTrouble: (code: string) => void
}

/** A sleeper sleeps only when its next reading is at least this far away. */
const minSleepMs = 2_000
/** Timers take no more than 2^31 - 1 ms; a slow device looks again. */
const maxTimerMs = 3_600_000
/** Readings made in one turn when the host was too slow, so that others get theirs. */
const maxReadingsPerTurn = 100

/**
 * One device: takes readings on its own schedule whether or not the link is there, keeps them in its bounded buffer, and
 * publishes as many at a time as its firmware would. Every reading goes through the ledger.
 */
export class Device {
  private readonly options: DeviceOptions
  private readonly buffer: OfflineBuffer<{ readonly seq: number; readonly payload: Buffer }>
  private readonly session: Session
  private readonly nextReading: () => Reading
  private upcoming: Reading
  private timer: NodeJS.Timeout | undefined
  private isSampling = false

  constructor(options: DeviceOptions) {
    const { profile, random, startMs, readingsPerSecond, link } = options
    const { bufferReadings, dropPolicy } = profile.firmware
    this.options = options
    this.buffer = new OfflineBuffer(bufferReadings, dropPolicy)
    this.nextReading = readingsOf({ profile, random, startMs, readingsPerSecond })
    this.upcoming = this.nextReading()
    this.session = this.createSession(() => link.open())
  }

  get isConnected(): boolean {
    return this.session.isConnected
  }

  get buffered(): number {
    return this.buffer.size
  }

  /** True when everything that was made is settled. */
  get isDrained(): boolean {
    return this.buffer.size === 0 && this.session.unacknowledged === 0
  }

  connect(): void {
    this.session.connect()
  }

  startSampling(): void {
    this.isSampling = true
    this.arm()
  }

  /** No more readings are made; those that wait are still sent. */
  stopSampling(): void {
    this.isSampling = false
    clearTimeout(this.timer)
  }

  close(): Promise<void> {
    return this.session.close()
  }

  private createSession(open: () => ReturnType<Link['open']>): Session {
    const { name, site, profile, random, reconnect, ledger, onTrouble, encoding, qos, username, password } =
      this.options
    const { protocolVersion, keepAliveSeconds, inFlight } = profile.firmware
    return new Session({
      clientId: name,
      username,
      password,
      // only MQTT 5 can begin a session anew and keep it, and QoS 2 must not meet packet ids of an earlier run
      protocolVersion: qos === 2 ? 5 : protocolVersion,
      keepAliveSeconds,
      inFlight,
      mqttTopic: fillTopic(profile.mqttTopic, { site, device: name }),
      qos,
      retain: profile.retain,
      contentType: `application/${encoding}`,
      open,
      backoff: new Backoff(reconnect.minMs, reconnect.maxMs, random.split('backoff')),
      events: {
        onReady: () => this.pump(),
        onAcknowledged: seq => {
          ledger.acked.add(seq)
          this.pump()
        },
        onRefused: seq => {
          ledger.refused.add(seq)
          this.pump()
        },
        onResent: seq => ledger.resent.add(seq),
        onTrouble,
      },
    })
  }

  private arm(): void {
    const waitMs = this.upcoming.ts - this.options.startMs - this.options.elapsedMs()
    this.timer = setTimeout(() => this.sample(), Math.min(maxTimerMs, Math.max(0, waitMs)))
  }

  private sample(): void {
    const deviceTimeMs = this.options.startMs + this.options.elapsedMs()
    for (let made = 0; made < maxReadingsPerTurn && this.upcoming.ts <= deviceTimeMs; made++) {
      this.take(this.upcoming)
      this.upcoming = this.nextReading()
    }
    if (this.buffer.size > 0) this.session.wake()
    this.pump()
    if (this.isSampling) this.arm()
  }

  private take(reading: Reading): void {
    const { profile, encoding, ledger } = this.options
    ledger.made = reading.seq
    const dropped = this.buffer.push({ seq: reading.seq, payload: encodePayload(profile, reading, encoding) })
    if (dropped) ledger.lost.add(dropped.seq)
  }

  private pump(): void {
    while (this.session.hasRoom) {
      const reading = this.buffer.shift()
      if (reading === undefined) break
      this.options.ledger.sent.add(reading.seq)
      this.session.publish(reading.seq, reading.payload)
    }
    if (this.shouldSleep()) this.session.sleep()
  }

  private shouldSleep(): boolean {
    const { profile, startMs, elapsedMs } = this.options
    const untilNextMs = this.upcoming.ts - startMs - elapsedMs()
    return profile.firmware.deepSleep && this.isSampling && this.isDrained && untilNextMs >= minSleepMs
  }
}
