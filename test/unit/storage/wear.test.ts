import { describe, expect, it } from 'vitest'
import { Metrics } from '../../../src/core/metrics.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import type { WriteCounts } from '../../../src/platform/write-counts.ts'
import { CommitLinger } from '../../../src/storage/commit-linger.ts'
import { WearBudget } from '../../../src/storage/wear-budget.ts'
import { bytesPerDay, bytesPerEvent, cardYears } from '../../../src/storage/wear-forecast.ts'
import { rememberingStore, WearMeter, type WearTotals, wearKey } from '../../../src/storage/wear-meter.ts'
import { WearWindow } from '../../../src/storage/wear-window.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { MemoryCheckpointStore, silentLogger } from './test-log.ts'

const MiB = 1024 * 1024
const dayMs = 86_400_000

describe('wear window', () => {
  it('forgets what is older than it, and knows nothing of a device that is not counted', () => {
    const window = new WearWindow(60, 60)
    window.add(0, 10, { deviceBytes: 1000, logBytes: 500, records: 5 })
    window.add(3_000, 10, { deviceBytes: 10, logBytes: 5, records: 1 })
    expect(window.figures()).toEqual({ seconds: 20, deviceBytes: 1010, logBytes: 505, records: 6 })
    window.add(3_600, 10, { deviceBytes: 1, logBytes: 1, records: 1 })
    expect(window.figures()).toEqual({ seconds: 20, deviceBytes: 11, logBytes: 6, records: 2 })
    window.add(3_610, 10, { deviceBytes: undefined, logBytes: 1, records: 1 })
    expect(window.figures().deviceBytes).toBeUndefined()
    expect(new WearWindow(60, 60).figures().deviceBytes).toBeUndefined()
  })

  it('goes on after a restart, but not with what is damaged or counted otherwise', () => {
    const before = new WearWindow(3600, 24)
    before.add(5_000, 10, { deviceBytes: 1000, logBytes: 500, records: 5 })
    const bytes = before.encode()
    const restored = (text: Buffer, isCounted = true): number => {
      const after = new WearWindow(3600, 24)
      after.restore(text, isCounted)
      return after.figures().logBytes
    }
    expect(restored(bytes)).toBe(500)
    expect(restored(bytes, false)).toBe(0)
    expect(restored(bytes.subarray(0, 20))).toBe(0)
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 1
      expect(restored(damaged)).toBe(0)
    }
  })
})

describe('forecast', () => {
  const figures = { seconds: 3600, deviceBytes: 3600 * MiB, logBytes: 0, records: 1000 }

  it('counts the inside of the card four times', () => {
    expect(bytesPerDay(figures)).toBe(86_400 * MiB)
    expect(bytesPerEvent(figures)).toBe(Math.round(3.6 * MiB))
    const card = { bytes: 86_400 * MiB, cycles: 1461 * 4 }
    expect(cardYears({ hour: figures, day: figures }, card)).toBeCloseTo(4)
  })

  it('is unknown, not 0, without a counter or a rate', () => {
    const uncounted = { ...figures, deviceBytes: undefined }
    expect(bytesPerDay(uncounted)).toBeNull()
    expect(bytesPerEvent(uncounted)).toBeNull()
    expect(bytesPerDay({ ...figures, seconds: 30 })).toBeNull()
    expect(cardYears({ hour: uncounted, day: uncounted }, { bytes: 1, cycles: 1 })).toBeNull()
  })
})

describe('wear meter', () => {
  const open = async (counts: WriteCounts, remembered?: Buffer) => {
    const clock = new VirtualClock()
    const metrics = new Metrics()
    const now = { ...counts }
    const samples: WearTotals[] = []
    const meter: WearMeter = new WearMeter({
      read: async () => ({ ...now }),
      clock,
      logAge: () => Math.floor(clock.sinceBootMs() / 1000),
      metrics,
      onSample: totals => void samples.push(totals),
    })
    await meter.start(remembered)
    return { clock, metrics, now, meter, samples }
  }

  it('counts what is written from its start, also when the device was plugged in anew', async () => {
    const { clock, metrics, now, meter, samples } = await open({ deviceBytes: 5000, processBytes: undefined })
    now.deviceBytes = 6000
    metrics.add('storageGroupBytes', 400)
    metrics.add('storageRecords', 4)
    await clock.advance(10_000)
    now.deviceBytes = 300
    await clock.advance(10_000)
    expect(meter.totals).toEqual({ deviceBytes: 1300, processBytes: undefined, logBytes: 400, records: 4, commits: 0 })
    expect(meter.hour).toEqual({ seconds: 20, deviceBytes: 1300, logBytes: 400, records: 4 })
    expect(samples).toHaveLength(2)
  })

  it('stays unknown where nobody counts', async () => {
    const { clock, meter } = await open({ deviceBytes: undefined, processBytes: 7 })
    await clock.advance(60_000)
    expect(meter.totals.deviceBytes).toBeUndefined()
    expect(meter.day.deviceBytes).toBeUndefined()
    expect(meter.totals.processBytes).toBe(0)
  })

  it('goes along with checkpoints and is there after a restart', async () => {
    const first = await open({ deviceBytes: 0, processBytes: 0 })
    const inner = new MemoryCheckpointStore()
    const store = rememberingStore(inner, () => first.meter)
    first.now.deviceBytes = 777
    await first.clock.advance(10_000)
    expect(inner.get(wearKey)).toBeUndefined()
    await store.write(new Map([['a', Buffer.from('b')]]))
    expect(inner.get('a')?.toString()).toBe('b')
    const second = await open({ deviceBytes: 9_000, processBytes: 0 }, store.get(wearKey))
    expect(second.meter.day.deviceBytes).toBe(777)
  })
})

describe('linger', () => {
  it('waits in full when stretched, and not at all once it has ended', () => {
    const linger = new CommitLinger(5)
    let changes = 0
    linger.onChange(() => changes++)
    linger.stretch(100)
    linger.committed(0, 1)
    linger.committed(100, 3)
    expect(linger.waitMs(110, 50)).toBe(90)
    linger.stretch(1)
    expect(linger.ms).toBe(5)
    linger.end()
    linger.stretch(100)
    expect(linger.waitMs(101, 1)).toBe(0)
    expect(changes).toBe(3)
  })
})

/** Writes `commitBytes` for each commit of a load of `perSecond` events, and `otherPerSecond` besides. */
const play = (
  bytesPerDay: number,
  load: { perSecond: number; commitBytes: number; otherPerSecond?: number },
  seconds: number,
) => {
  const warnings: object[] = []
  const logger: Logger = { ...silentLogger, warn: fields => void warnings.push(fields) }
  const linger = new CommitLinger(5)
  const budget = new WearBudget(linger, { maxLingerMs: 1000, bytesPerDay }, logger)
  let bytes = 0
  let commits = 0
  const run = (forSeconds: number, present = load): number => {
    const before = bytes
    for (let second = 0; second < forSeconds; second += 10) {
      const added = 10 * Math.min(present.perSecond, 1000 / linger.ms)
      commits += added
      bytes += added * present.commitBytes + 10 * (present.otherPerSecond ?? 0)
      now += 10_000
      budget.spent({ bytes, commits }, now)
    }
    return bytes - before
  }
  let now = 0
  run(seconds)
  return { linger, budget, warnings, run }
}

describe('wear budget', () => {
  const load = { perSecond: 50, commitBytes: 4096 }
  const fullDay = 50 * 4096 * 86_400

  it('does nothing while the load stays below it', () => {
    expect(play(fullDay * 1.1, load, 3600).linger.ms).toBe(5)
  })

  it('stretches the linger until it holds, and not much further', () => {
    const budget = fullDay / 10
    const { linger, run, warnings } = play(budget, load, 1200)
    expect(linger.ms).toBeGreaterThan(190)
    expect(linger.ms).toBeLessThan(260)
    expect(run(86_400)).toBeLessThanOrEqual(budget)
    expect(warnings).toEqual([])
  })

  it('never goes above the longest linger; says once that this is not enough, and goes on', () => {
    const { linger, budget, warnings, run } = play(fullDay / 1000, load, dayMs / 1000)
    expect(linger.ms).toBe(1000)
    expect(budget.exceeded).toBe(true)
    expect(warnings).toHaveLength(1)
    run(3600, { perSecond: 0, commitBytes: 0 })
    expect(budget.exceeded).toBe(false)
    expect(linger.ms).toBe(5)
  })

  it('is not moved by a slot that is prepared now and then', () => {
    const { linger, run } = play(fullDay / 10, load, 3600)
    const before = linger.ms
    const seen = new Set<number>()
    for (let turn = 0; turn < 20; turn++) {
      run(3500)
      run(10, { ...load, otherPerSecond: 80_000 })
      seen.add(linger.ms)
    }
    expect([...seen]).toEqual([before])
  })

  it('does not swing when the rate is near the budget', () => {
    const { linger, run } = play(fullDay / 10, load, 3600)
    const seen = new Set<number>()
    for (let turn = 0; turn < 100; turn++) {
      run(60, { ...load, perSecond: 50 + (turn % 5) })
      seen.add(linger.ms)
    }
    expect(seen.size).toBe(1)
  })
})
