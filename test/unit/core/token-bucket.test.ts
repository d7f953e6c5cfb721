import { expect, it } from 'vitest'
import { TokenBucket } from '../../../src/core/token-bucket.ts'

it('lets a burst of one second pass, then as much as comes in', () => {
  const bucket = new TokenBucket(10)
  const passed = (nowMs: number): number => {
    let count = 0
    for (; bucket.waitMs(nowMs) === 0; count++) bucket.take(1)
    return count
  }
  expect([0, 50, 100, 1100, 60_000].map(passed)).toEqual([10, 0, 1, 10, 10])
})

it('tells when a debt is paid, and not before', () => {
  const bucket = new TokenBucket(1000)
  expect(bucket.waitMs(0)).toBe(0)
  bucket.take(5000)
  const waitMs = bucket.waitMs(0)
  expect(waitMs).toBe(4001)
  expect(bucket.waitMs(waitMs - 1)).toBeGreaterThan(0)
  expect(bucket.waitMs(waitMs)).toBe(0)
})

it('without a limit never waits', () => {
  const bucket = new TokenBucket(Number.POSITIVE_INFINITY)
  for (let nowMs = 0; nowMs < 3; nowMs++) {
    expect(bucket.waitMs(nowMs)).toBe(0)
    bucket.take(1e9)
  }
})
