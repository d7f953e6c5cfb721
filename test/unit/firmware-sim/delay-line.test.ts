import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DelayLine, type LinkConditions, wire } from '../../../firmware-sim/delay-line.ts'
import { Random } from '../../../firmware-sim/random.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const line = (conditions: Partial<LinkConditions>, onBroken = () => {}) =>
  new DelayLine({ ...wire, ...conditions }, new Random(1), () => Date.now(), onBroken)

/** Sends segments of 100 bytes now, and gives the arrivals as `index@ms`. */
const arrivals = (over: DelayLine, count: number): string[] => {
  const startMs = Date.now()
  const seen: string[] = []
  for (let index = 0; index < count; index++) over.send(100, () => seen.push(`${index}@${Date.now() - startMs}`))
  return seen
}

test('latency delays everything alike', () => {
  const seen = arrivals(line({ latencyMs: 50 }), 2)
  vi.advanceTimersByTime(48)
  expect(seen).toEqual([])
  vi.advanceTimersByTime(2)
  expect(seen).toEqual(['0@50', '1@50'])
})

test('bandwidth lets one segment through after the other', () => {
  const seen = arrivals(line({ bytesPerSecond: 1_000 }), 3)
  vi.advanceTimersByTime(1_000)
  expect(seen).toEqual(['0@100', '1@200', '2@300'])
})

test('jitter and loss never change the order', () => {
  const seen = arrivals(line({ jitterMs: 100, lossRatio: 0.3, latencyMs: 5 }), 200)
  vi.advanceTimersByTime(100_000)
  expect(seen.map(entry => Number(entry.split('@')[0]))).toEqual(Array.from({ length: 200 }, (_, index) => index))
})

test('a lost segment comes a retransmission later, and those behind it wait', () => {
  const seen = arrivals(line({ lossRatio: 0.1 }), 100)
  vi.advanceTimersByTime(100)
  const before = seen.length
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(100)
  vi.advanceTimersByTime(20_000)
  expect(seen).toHaveLength(100)
  expect(Number(seen[before]?.split('@')[1])).toBeGreaterThanOrEqual(199)
})

test('a link that loses everything breaks the connection', () => {
  const onBroken = vi.fn()
  const seen = arrivals(line({ lossRatio: 1 }, onBroken), 1)
  vi.advanceTimersByTime(100_000)
  expect(onBroken).toHaveBeenCalledTimes(1)
  expect(seen).toEqual([])
})

test('frozen, nothing arrives; thawed, all that is due does; cleared, it never does', () => {
  const over = line({ latencyMs: 10 })
  const seen = arrivals(over, 2)
  over.freeze()
  vi.advanceTimersByTime(1_000)
  expect(seen).toEqual([])
  over.thaw()
  vi.advanceTimersByTime(1)
  expect(seen).toHaveLength(2)
  const lost = arrivals(over, 2)
  over.clear()
  vi.advanceTimersByTime(1_000)
  expect(lost).toEqual([])
})
