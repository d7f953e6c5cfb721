import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Clock } from '../platform/clock.ts'
import type { WriteCounts } from '../platform/write-counts.ts'
import { type WearFigures, WearWindow, type Written } from './wear-window.ts'

const sampleEveryMs = 10_000
const hour = { bucketSeconds: 60, count: 60 }
const day = { bucketSeconds: 3600, count: 24 }
export const wearKey = 'wear'

/** Sums since the start. */
export interface WearTotals extends Written {
  readonly processBytes: number | undefined
  readonly commits: number
}

const grown = (now: number, before: number): number => (now >= before ? now - before : now)

/**
 * Counts what is written, every ten seconds. The figures of the last day go along with checkpoints that are written anyway, so that they
 * outlive a restart and cost no write of their own; those of the last hour begin anew.
 */
export class WearMeter {
  readonly #read: () => Promise<WriteCounts>
  readonly #clock: Clock
  readonly #logAge: () => number
  readonly #metrics: Metrics
  readonly #onSample: (totals: WearTotals, nowMs: number) => void
  readonly #hour = new WearWindow(hour.bucketSeconds, hour.count)
  readonly #day = new WearWindow(day.bucketSeconds, day.count)
  #last: WriteCounts = { deviceBytes: undefined, processBytes: undefined }
  #lastMs = 0
  #totals: WearTotals = { deviceBytes: undefined, processBytes: undefined, logBytes: 0, records: 0, commits: 0 }

  constructor(parts: {
    read: () => Promise<WriteCounts>
    clock: Clock
    logAge: () => number
    metrics: Metrics
    onSample: (totals: WearTotals, nowMs: number) => void
  }) {
    this.#read = parts.read
    this.#clock = parts.clock
    this.#logAge = parts.logAge
    this.#metrics = parts.metrics
    this.#onSample = parts.onSample
  }

  get totals(): WearTotals {
    return this.#totals
  }

  get hour(): WearFigures {
    return this.#hour.figures()
  }

  get day(): WearFigures {
    return this.#day.figures()
  }

  /** Goes on with the day that the store remembers, and samples from now on. */
  async start(remembered: Buffer | undefined): Promise<void> {
    this.#last = await this.#read()
    this.#lastMs = this.#clock.monotonicMs()
    const isCounted = this.#last.deviceBytes !== undefined
    if (remembered !== undefined) this.#day.restore(remembered, isCounted)
    this.#totals = {
      deviceBytes: isCounted ? 0 : undefined,
      processBytes: this.#last.processBytes === undefined ? undefined : 0,
      ...this.#logCounts(),
    }
    this.#clock.after(sampleEveryMs, () => void this.#run())
  }

  /** What the next start goes on with. */
  encode(): Buffer {
    return this.#day.encode()
  }

  /** Takes one sample. */
  async sample(): Promise<void> {
    const now = await this.#read()
    const nowMs = this.#clock.monotonicMs()
    const { deviceBytes, processBytes } = this.#totals
    const before = this.#totals
    const added = (next: number | undefined, last: number | undefined): number | undefined =>
      next === undefined || last === undefined ? undefined : grown(next, last)
    const device = added(now.deviceBytes, this.#last.deviceBytes)
    const own = added(now.processBytes, this.#last.processBytes)
    this.#totals = {
      deviceBytes: device === undefined || deviceBytes === undefined ? undefined : deviceBytes + device,
      processBytes: own === undefined || processBytes === undefined ? undefined : processBytes + own,
      ...this.#logCounts(),
    }
    const written = {
      deviceBytes: device,
      logBytes: this.#totals.logBytes - before.logBytes,
      records: this.#totals.records - before.records,
    }
    const seconds = (nowMs - this.#lastMs) / 1000
    this.#hour.add(this.#logAge(), seconds, written)
    this.#day.add(this.#logAge(), seconds, written)
    this.#last = now
    this.#lastMs = nowMs
    this.#onSample(this.#totals, nowMs)
  }

  async #run(): Promise<void> {
    await this.sample()
    this.#clock.after(sampleEveryMs, () => void this.#run())
  }

  #logCounts(): Pick<WearTotals, 'logBytes' | 'records' | 'commits'> {
    return {
      logBytes: this.#metrics.count('storageGroupBytes'),
      records: this.#metrics.count('storageRecords'),
      commits: this.#metrics.count('storageSyncs'),
    }
  }
}

/** A store whose transactions carry the day's figures along. */
export const rememberingStore = (store: CheckpointStore, meter: () => WearMeter | undefined): CheckpointStore => ({
  get: key => store.get(key),
  entries: prefix => store.entries(prefix),
  usedBytes: () => store.usedBytes(),
  close: () => store.close(),
  write(changes) {
    const found = meter()
    return store.write(found === undefined ? changes : new Map([...changes, [wearKey, found.encode()]]))
  },
})
