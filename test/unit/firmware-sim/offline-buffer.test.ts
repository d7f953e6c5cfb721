import { expect, test } from 'vitest'
import { OfflineBuffer } from '../../../firmware-sim/offline-buffer.ts'

const drained = (buffer: OfflineBuffer<number>): number[] => {
  const items: number[] = []
  for (let item = buffer.shift(); item !== undefined; item = buffer.shift()) items.push(item)
  return items
}

test('drop-oldest gives up the oldest and keeps the newest', () => {
  const buffer = new OfflineBuffer<number>(3, 'oldest')
  expect([1, 2, 3, 4, 5].map(item => buffer.push(item))).toEqual([undefined, undefined, undefined, 1, 2])
  expect(buffer.size).toBe(3)
  expect(drained(buffer)).toEqual([3, 4, 5])
})

test('drop-newest gives up the new one and keeps what it has', () => {
  const buffer = new OfflineBuffer<number>(3, 'newest')
  expect([1, 2, 3, 4, 5].map(item => buffer.push(item))).toEqual([undefined, undefined, undefined, 4, 5])
  expect(drained(buffer)).toEqual([1, 2, 3])
})

test.each(['oldest', 'newest'] as const)('drop-%s: in order over a long life, nothing unaccounted for', policy => {
  const buffer = new OfflineBuffer<number>(100, policy)
  const out: number[] = []
  const dropped: number[] = []
  for (let item = 1; item <= 10_000; item++) {
    const lost = buffer.push(item)
    if (lost !== undefined) dropped.push(lost)
    if (item % 3 === 0) out.push(buffer.shift()!)
    expect(buffer.size).toBeLessThanOrEqual(100)
  }
  out.push(...drained(buffer))
  expect(out).toEqual([...out].sort((a, b) => a - b))
  expect([...out, ...dropped].sort((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, index) => index + 1))
})
