import { TokenBucket } from '../core/token-bucket.ts'
import type { MqttLimits } from './services.ts'

export interface RateLimits {
  readonly publishesPerSecond: number
  readonly bytesPerSecond: number
}

/** What one client sends, held against its rates: a second's worth at once, then as time passes. Who is over them waits and loses nothing. */
export class InboundRate {
  readonly #publishes: TokenBucket
  readonly #bytes: TokenBucket

  constructor({ publishesPerSecond, bytesPerSecond }: RateLimits) {
    this.#publishes = new TokenBucket(publishesPerSecond)
    this.#bytes = new TokenBucket(bytesPerSecond)
  }

  /** A PUBLISH of this length was taken. */
  took(bytes: number): void {
    this.#publishes.take(1)
    this.#bytes.take(bytes)
  }

  /** Milliseconds until the next one may be taken. */
  waitMs(nowMs: number): number {
    return Math.max(this.#publishes.waitMs(nowMs), this.#bytes.waitMs(nowMs))
  }
}

/** Undefined where there is no limit: then nothing is counted. */
export const inboundRateFor = (limits: MqttLimits): InboundRate | undefined => {
  const { publishesPerSecond, publishBytesPerSecond: bytesPerSecond } = limits
  if (Math.min(publishesPerSecond, bytesPerSecond) === Number.POSITIVE_INFINITY) return undefined
  return new InboundRate({ publishesPerSecond, bytesPerSecond })
}
