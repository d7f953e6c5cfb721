import { expect, it } from 'vitest'
import { DurableTimes } from '../../../src/uplink/durable-times.ts'

it('says of records that come upstream how long they have been durable', () => {
  const times = new DurableTimes()
  times.advanced(10, 1000)
  times.advanced(15, 1010)
  times.advanced(15, 1020)
  times.advanced(40, 1100)
  expect([...times.acknowledged(12, 1200)]).toEqual([{ records: 2, ms: 190 }])
  expect([...times.acknowledged(12, 1300)]).toEqual([])
  expect([...times.acknowledged(20, 1300)]).toEqual([
    { records: 3, ms: 290 },
    { records: 5, ms: 200 },
  ])
  times.advanced(50, 1310)
  expect([...times.acknowledged(50, 1400)]).toEqual([
    { records: 20, ms: 300 },
    { records: 10, ms: 90 },
  ])
})

it('keeps a bounded number of times, and loses no record', () => {
  const times = new DurableTimes()
  for (let end = 0; end <= 10_000; end++) times.advanced(end, end)
  const waited = [...times.acknowledged(10_000, 10_000)]
  expect(waited.length).toBeLessThanOrEqual(64)
  expect(waited.reduce((sum, { records }) => sum + records, 0)).toBe(10_000)
  const least = waited.reduce((sum, { ms, records }) => sum + ms * records, 0)
  // the mean is 5,000
  expect(least / 10_000).toBeGreaterThanOrEqual(4_999)
  expect(least / 10_000).toBeLessThan(5_500)
})
