import {
  formatTime,
  type MeteredWindow,
  type RetentionClass,
  retentionClasses,
  windowName,
} from '../config/metered-windows.ts'
import { formatBytes } from '../config/quantities.ts'
import type { Settings } from '../config/settings.ts'
import { TokenBucket } from '../core/token-bucket.ts'
import { openWindows } from './open-windows.ts'

/** Why records of a class do not go up now. */
export interface Hold {
  /** What holds them, for people. */
  readonly by: string
  /** Monotonic time at which it is looked at again. */
  readonly untilMs: number
}

/** Settings with a rate that can change while the gateway runs. */
export const rateKeys = [
  'uplink.rate.max',
  'uplink.rate.max.bulk',
  'uplink.rate.max.normal',
  'uplink.rate.max.critical',
] as const
export type RateKey = (typeof rateKeys)[number]

/** The wall clock as windows of the day want it. */
export interface WallClock {
  wallMs(): number
  /** Does anybody vouch for it? */
  isRight(): boolean
}

/** Of a cap, in one round: each costs some bytes beside its records, and whoever comes meanwhile waits for its end. */
const roundSeconds = 4
/** Windows open and close, and the clock may be set at any time. */
const lookMs = 60_000
const mostLeastShareBytes = 64 << 10

interface Cap {
  readonly name: string
  readonly rate: number
  readonly bucket: TokenBucket
}

const rateText = (rate: number): string => formatBytes(rate).replace(/\d$/, '$& bytes')

const capOf = (name: string, rate: number): Cap => ({
  name: `${name} (${rateText(rate)}/s)`,
  rate,
  bucket: new TokenBucket(rate),
})

/**
 * How much may go up, of each class of topics, by the caps of the settings and the metered windows of the day. What was sent beyond them is a debt
 * that later records wait for. While nobody vouches for the clock all windows hold: what they cost is money, what waits is stored.
 */
export class Caps {
  readonly #wallClock: WallClock
  readonly #windows: ReadonlyMap<MeteredWindow, Cap>
  readonly #caps = new Map<RateKey, Cap>()
  #countedBytes = 0

  constructor(settings: Pick<Settings, RateKey | 'uplink.metered'>, wallClock: WallClock) {
    this.#wallClock = wallClock
    for (const key of rateKeys) this.change(key, settings[key])
    this.#windows = new Map(
      settings['uplink.metered'].map(window => [window, capOf(`uplink.metered ${windowName(window)}`, window.rate)]),
    )
  }

  /** A rate from now on. */
  change(key: RateKey, rate: number): void {
    this.#caps.set(key, capOf(key, rate))
  }

  /** The classes of which nothing may go up now. */
  holds(nowMs: number): ReadonlyMap<RetentionClass, Hold> {
    const open = this.#open()
    const holds = new Map<RetentionClass, Hold>()
    for (const one of retentionClasses) {
      const hold = this.#closed(one, open, nowMs) ?? this.#exhausted(one, open, nowMs)
      // however long it would take: windows close, and the clock may be set
      if (hold !== undefined) holds.set(one, { ...hold, untilMs: Math.min(hold.untilMs, nowMs + lookMs) })
    }
    return holds
  }

  /** Room for one round. */
  room(limitBytes: number): Room {
    const roundBytes = ({ rate }: Cap): number => Math.ceil(rate * roundSeconds)
    const caps = [this.#caps.get('uplink.rate.max')!, ...this.#open().map(window => this.#windows.get(window)!)]
    const byClass = retentionClasses.map(one => [one, roundBytes(this.#ofClass(one))] as const)
    return new Room(Math.min(limitBytes, ...caps.map(roundBytes)), new Map(byClass))
  }

  /** So many bytes went over the link up to now, and since the last call batches of these classes with them. */
  count(sentBytes: number, byClass: ReadonlyMap<RetentionClass, number>, nowMs: number): void {
    const bytes = sentBytes - this.#countedBytes
    this.#countedBytes = sentBytes
    this.#caps.get('uplink.rate.max')!.bucket.take(bytes, nowMs)
    for (const window of this.#open()) this.#windows.get(window)!.bucket.take(bytes, nowMs)
    for (const [one, ofClass] of byClass) this.#ofClass(one).bucket.take(ofClass, nowMs)
  }

  #ofClass(one: RetentionClass): Cap {
    return this.#caps.get(`uplink.rate.max.${one}`)!
  }

  #open(): readonly MeteredWindow[] {
    const windows = [...this.#windows.keys()]
    return this.#wallClock.isRight() ? openWindows(windows, this.#wallClock.wallMs()) : windows
  }

  /** By a window that the class may not use. */
  #closed(one: RetentionClass, open: readonly MeteredWindow[], nowMs: number): Hold | undefined {
    const window = open.find(({ rate, classes }) => rate === 0 || !classes.includes(one))
    if (window === undefined) return undefined
    const until = this.#wallClock.isRight()
      ? `until ${formatTime(window.toMinute)}`
      : 'which holds at all times while the clock is not known to be right (clock.quality)'
    return { by: `uplink.metered ${windowName(window)}, ${until}`, untilMs: nowMs + lookMs }
  }

  /** By the cap that takes longest. */
  #exhausted(one: RetentionClass, open: readonly MeteredWindow[], nowMs: number): Hold | undefined {
    const caps = [
      this.#caps.get('uplink.rate.max')!,
      this.#ofClass(one),
      ...open.map(window => this.#windows.get(window)!),
    ]
    let longest: Hold | undefined
    for (const { name, bucket } of caps) {
      const untilMs = nowMs + bucket.waitMs(nowMs)
      if (untilMs > (longest?.untilMs ?? nowMs)) longest = { by: name, untilMs }
    }
    return longest
  }
}

/** What one round may carry. The first batch of a lane always fits, for batches go whole. */
export class Room {
  readonly #leastShareBytes: number
  #leftBytes: number
  readonly #leftByClass: Map<RetentionClass, number>

  constructor(limitBytes: number, byClass: ReadonlyMap<RetentionClass, number> = new Map()) {
    this.#leastShareBytes = Math.min(mostLeastShareBytes, Math.ceil(limitBytes / 4))
    this.#leftBytes = limitBytes
    this.#leftByClass = new Map(byClass)
  }

  /** Not above 0: it is full for the class. */
  left(one: RetentionClass): number {
    return Math.min(this.#leftBytes, this.#leftByClass.get(one) ?? Number.POSITIVE_INFINITY)
  }

  /** For one of so many lanes. Not so little that their batches would be tiny: then some of them wait for the next round. */
  share(one: RetentionClass, lanes: number): number {
    const leftBytes = this.left(one)
    return Math.min(leftBytes, Math.max(this.#leastShareBytes, Math.floor(leftBytes / lanes)))
  }

  take(one: RetentionClass, bytes: number): void {
    this.#leftBytes -= bytes
    const ofClass = this.#leftByClass.get(one)
    if (ofClass !== undefined) this.#leftByClass.set(one, ofClass - bytes)
  }
}
