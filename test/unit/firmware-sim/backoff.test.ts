import { expect, test } from 'vitest'
import { Backoff } from '../../../firmware-sim/backoff.ts'
import { Random } from '../../../firmware-sim/random.ts'

test('waits spread over a range that doubles up to its limit, and starts again after success', () => {
  const waits = (attempt: number): number[] =>
    Array.from({ length: 300 }, (_, seed) => {
      const backoff = new Backoff(100, 1_600, new Random(seed))
      for (let before = 0; before < attempt; before++) backoff.nextMs()
      return backoff.nextMs()
    })
  for (const [attempt, limitMs] of [
    [0, 100],
    [1, 200],
    [4, 1_600],
    [9, 1_600],
    [2_000, 1_600],
  ] as const) {
    const drawn = waits(attempt)
    expect(Math.max(...drawn)).toBeLessThanOrEqual(limitMs)
    expect(Math.max(...drawn)).toBeGreaterThan(limitMs * 0.9)
    expect(Math.min(...drawn)).toBeLessThan(limitMs * 0.1)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(1)
  }
  const backoff = new Backoff(100, 1_600, new Random(1))
  for (let attempt = 0; attempt < 10; attempt++) backoff.nextMs()
  backoff.reset()
  expect(backoff.nextMs()).toBeLessThanOrEqual(100)
})
