import { expect, it, vi } from 'vitest'
import { nodeClock } from '../../../src/platform/node/clock.ts'

it('waits longer than one timer of Node can', () => {
  vi.useFakeTimers()
  try {
    let fired = 0
    nodeClock.after(2 ** 31 + 5000, () => fired++)
    const cancelled = nodeClock.after(2 ** 32, () => fired++)
    vi.advanceTimersByTime(2 ** 31 + 4999)
    expect(fired).toBe(0)
    vi.advanceTimersByTime(1)
    expect(fired).toBe(1)
    cancelled.cancel()
    vi.advanceTimersByTime(2 ** 33)
    expect(fired).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})
