import { expect, it } from 'vitest'
import { InboundRate } from '../../../src/mqtt/inbound-rate.ts'

const any = Number.POSITIVE_INFINITY
/** Publishes of `bytes` that pass at a time. */
const passed = (rate: InboundRate, nowMs: number, bytes: number): number => {
  let count = 0
  for (; rate.waitMs(nowMs) === 0 && count < 1000; count++) rate.took(bytes)
  return count
}

it('holds the number of publishes', () => {
  const rate = new InboundRate({ publishesPerSecond: 5, bytesPerSecond: any })
  expect([0, 200, 200, 5000].map(nowMs => passed(rate, nowMs, 1e6))).toEqual([5, 1, 0, 5])
})

it('holds their bytes; one that is larger than a second pays afterwards', () => {
  const rate = new InboundRate({ publishesPerSecond: any, bytesPerSecond: 1000 })
  expect(passed(rate, 0, 100)).toBe(10)
  expect(passed(rate, 1000, 5000)).toBe(1)
  expect(rate.waitMs(1000)).toBe(4001)
  expect([5000, 5001].map(nowMs => passed(rate, nowMs, 100))).toEqual([0, 1])
})

it('the one that is reached first decides', () => {
  const rate = new InboundRate({ publishesPerSecond: 10, bytesPerSecond: 1000 })
  expect(passed(rate, 0, 1)).toBe(10)
  expect(passed(rate, 10_000, 500)).toBe(2)
})

it('without limits nobody waits', () => {
  expect(passed(new InboundRate({ publishesPerSecond: any, bytesPerSecond: any }), 0, 1e9)).toBe(1000)
})
