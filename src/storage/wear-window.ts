import { crc32c } from '../core/crc32c.ts'

/** What was written in a stretch of time. */
export interface Written {
  /** To the device by all programs; undefined: nobody counts. */
  readonly deviceBytes: number | undefined
  /** To the log as groups, padding included. */
  readonly logBytes: number
  /** Records made durable. */
  readonly records: number
}

/** The last hour or day, as far as the gateway ran in it. */
export interface WearFigures extends Written {
  readonly seconds: number
}

interface Bucket {
  /** Number of the stretch since log age 0. */
  readonly at: number
  seconds: number
  deviceBytes: number
  logBytes: number
  records: number
}

const bucketBytes = 40
const headBytes = 8
/** Bytes before the check sum begins to count. */
const crcBytes = 4

/**
 * Sums over the last `count` stretches of `bucketSeconds` of log age: time without power does not count. Where the device is not counted
 * its sum stays undefined, never 0.
 */
export class WearWindow {
  readonly #bucketSeconds: number
  readonly #count: number
  /** In order of time, the present one last. */
  #buckets: Bucket[] = []

  constructor(bucketSeconds: number, count: number) {
    this.#bucketSeconds = bucketSeconds
    this.#count = count
  }

  /** So much was written in the last `seconds`. */
  add(logAge: number, seconds: number, { deviceBytes, logBytes, records }: Written): void {
    const at = Math.floor(logAge / this.#bucketSeconds)
    this.#buckets = this.#buckets.filter(bucket => bucket.at <= at && bucket.at > at - this.#count)
    let newest = this.#buckets.at(-1)
    if (newest?.at !== at) this.#buckets.push((newest = { at, seconds: 0, deviceBytes: 0, logBytes: 0, records: 0 }))
    newest.seconds += seconds
    newest.deviceBytes += deviceBytes ?? Number.NaN
    newest.logBytes += logBytes
    newest.records += records
  }

  figures(): WearFigures {
    const sum = (key: 'seconds' | 'deviceBytes' | 'logBytes' | 'records'): number =>
      this.#buckets.reduce((total, bucket) => total + bucket[key], 0)
    const deviceBytes = sum('deviceBytes')
    return {
      seconds: sum('seconds'),
      deviceBytes: Number.isNaN(deviceBytes) || this.#buckets.length === 0 ? undefined : deviceBytes,
      logBytes: sum('logBytes'),
      records: sum('records'),
    }
  }

  /** CRC-32C of the rest (uint32), number of stretches (uint32), then five float64 for each: number, seconds, device, log, records. */
  encode(): Buffer {
    const bytes = Buffer.alloc(headBytes + this.#buckets.length * bucketBytes)
    bytes.writeUInt32BE(this.#buckets.length, crcBytes)
    for (const [index, bucket] of this.#buckets.entries()) {
      const { at, seconds, deviceBytes, logBytes, records } = bucket
      const start = headBytes + index * bucketBytes
      for (const [field, value] of [at, seconds, deviceBytes, logBytes, records].entries()) {
        bytes.writeDoubleBE(value, start + field * 8)
      }
    }
    bytes.writeUInt32BE(crc32c(bytes.subarray(crcBytes)), 0)
    return bytes
  }

  /** Goes on where `encode` left off. What does not verify is ignored; what counted the device otherwise than now, too. */
  restore(bytes: Buffer, isDeviceCounted: boolean): void {
    if (bytes.length < headBytes || bytes.readUInt32BE(0) !== crc32c(bytes.subarray(crcBytes))) return
    const count = bytes.readUInt32BE(crcBytes)
    if (count > this.#count || bytes.length !== headBytes + count * bucketBytes) return
    const found: Bucket[] = []
    for (let start = headBytes; start < bytes.length; start += bucketBytes) {
      const field = (index: number): number => bytes.readDoubleBE(start + index * 8)
      const bucket = { at: field(0), seconds: field(1), deviceBytes: field(2), logBytes: field(3), records: field(4) }
      if (Number.isNaN(bucket.deviceBytes) === isDeviceCounted) return
      found.push(bucket)
    }
    this.#buckets = found
  }
}
