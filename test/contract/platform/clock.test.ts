import { describe, expect, it } from 'vitest'
import { sleep } from '../../../src/platform/clock.ts'
import { implementations } from './implementations.ts'

// timers count in whole milliseconds, the monotonic clock does not
const roundingMs = 2

describe.each(implementations)('Clock: $name', ({ run }) => {
  it('has three clocks that go on', () =>
    run(async ({ platform: { clock } }) => {
      const before = [clock.monotonicMs(), clock.sinceBootMs()] as const
      await sleep(clock, 30)
      expect(clock.monotonicMs() - before[0]).toBeGreaterThanOrEqual(30 - roundingMs)
      expect(clock.sinceBootMs()).toBeGreaterThanOrEqual(before[1])
      expect(clock.wallMs()).toBeGreaterThan(1_600_000_000_000)
      expect(Number.isInteger(clock.wallMs())).toBe(true)
      expect(clock.bootId).not.toBe('')
    }))

  it('fires timers once, in order of their time, and none that was cancelled', () =>
    run(async ({ platform: { clock } }) => {
      const fired: string[] = []
      clock.after(40, () => fired.push('late'))
      clock.after(5, () => fired.push('early'))
      const cancelled = clock.after(10, () => fired.push('cancelled'))
      cancelled.cancel()
      cancelled.cancel()
      await sleep(clock, 80)
      expect(fired).toEqual(['early', 'late'])
    }))

  it('calls afterIo in order, later than the present stretch and its promises', () =>
    run(async ({ platform: { clock } }) => {
      const order: string[] = []
      const both = new Promise<void>(resolve => {
        clock.afterIo(() => order.push('first'))
        clock.afterIo(() => {
          order.push('second')
          resolve()
        })
      })
      void Promise.resolve().then(() => order.push('promise'))
      order.push('now')
      await both
      expect(order).toEqual(['now', 'promise', 'first', 'second'])
    }))
})
