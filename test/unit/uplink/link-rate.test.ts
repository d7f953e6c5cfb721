import { expect, it } from 'vitest'
import { LinkRate } from '../../../src/uplink/link-rate.ts'

/** Sends windows over a link and says where the window settles. */
const settled = (bytesPerSecond: number, roundTripMs: number, rate = new LinkRate()): number => {
  for (let round = 0; round < 60; round++) {
    const bytes = rate.windowBytes
    rate.answered(roundTripMs)
    rate.acknowledged(bytes, roundTripMs + (bytes * 1000) / bytesPerSecond)
  }
  return rate.windowBytes
}

it('comes to hold about a second of what the link carries', () => {
  for (const bytesPerSecond of [50_000, 250_000, 1_000_000]) {
    const window = settled(bytesPerSecond, 50)
    expect(window).toBeGreaterThan(bytesPerSecond * 0.8)
    expect(window).toBeLessThan(bytesPerSecond * 1.2)
  }
})

it('fills a link with a long way, too', () => {
  const window = settled(500_000, 1200)
  expect(window).toBeGreaterThan(400_000)
  expect(window).toBeLessThan(1_200_000)
})

it('stays within its bounds', () => {
  expect(settled(1_000, 100)).toBe(16 << 10)
  expect(settled(1e9, 1)).toBe(4 << 20)
})

it('halves after a timeout, and comes back', () => {
  const rate = new LinkRate()
  const before = settled(1_000_000, 50, rate)
  rate.timedOut()
  rate.timedOut()
  expect(rate.windowBytes).toBeLessThan(before / 3)
  expect(settled(1_000_000, 50, rate)).toBeGreaterThan(before * 0.8)
})

it('small rounds say nothing of what would fit', () => {
  const rate = new LinkRate()
  const before = settled(1_000_000, 50, rate)
  for (let round = 0; round < 100; round++) rate.acknowledged(300, 50)
  expect(rate.windowBytes).toBe(before)
})
