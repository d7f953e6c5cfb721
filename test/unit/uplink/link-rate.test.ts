import { expect, it } from 'vitest'
import { LinkRate } from '../../../src/uplink/link-rate.ts'

/** Sends windows over a link and says where the window settles. */
const settled = (bytesPerSecond: number, roundTripMs: number, rate = new LinkRate()): number => {
  for (let round = 0; round < 60; round++) {
    const bytes = rate.windowBytes
    rate.answered(roundTripMs)
    rate.acknowledged(bytes, roundTripMs + (bytes * 1000) / bytesPerSecond, true)
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
  for (let round = 0; round < 100; round++) rate.acknowledged(300, 50, true)
  expect(rate.windowBytes).toBe(before)
})

it('what several waves under way bring is the rate of the link, whatever its round trip', () => {
  const rate = new LinkRate()
  rate.answered(600)
  for (let wave = 0; wave < 30; wave++) rate.acknowledged(rate.windowBytes, (rate.windowBytes * 1000) / 200_000, false)
  expect(rate.bytesPerSecond).toBeCloseTo(200_000, -2)
  expect(rate.windowBytes).toBeCloseTo(320_000, -3)
})

it('a round is long enough that its link carries records four fifths of the time', () => {
  for (const roundTripMs of [5, 100, 600]) {
    const bytesPerSecond = 250_000
    const rate = new LinkRate()
    settled(bytesPerSecond, roundTripMs, rate)
    const busyMs = (rate.roundBytes * 1000) / bytesPerSecond
    expect(busyMs / (busyMs + 4 * roundTripMs)).toBeGreaterThan(0.8)
    expect(busyMs).toBeLessThan(15_000)
  }
})

it('a round of an unknown link is small', () => {
  expect(new LinkRate().roundBytes).toBe(64 << 10)
})
