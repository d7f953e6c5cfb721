import { expect, it } from 'vitest'
import { KeyCounts, Thinning } from '../../../src/uplink/thinning.ts'

const a = Buffer.from('a')
const b = Buffer.from('b')

it('keeps the first and then one in so many of each key; those without a key count as one', () => {
  const counts = new KeyCounts()
  const kept = (key: Buffer | null, times: number) => Array.from({ length: times }, () => counts.keeps(key, 3))
  expect(kept(a, 7)).toEqual([true, false, false, true, false, false, true])
  expect(kept(b, 2)).toEqual([true, false])
  expect(kept(null, 4)).toEqual([true, false, false, true])
})

it('what was kept and did not go is kept when it comes again', () => {
  const thinning = new Thinning(new KeyCounts(), 3)
  expect(thinning.keeps(a)).toBe(true)
  thinning.takeBack(a)
  expect([thinning.keeps(a), thinning.keeps(a), thinning.dropped]).toEqual([true, false, 1])
})

it('holds a bounded number of keys, and rather keeps more', () => {
  const counts = new KeyCounts()
  for (let key = 0; key < 25_000; key++) expect(counts.keeps(Buffer.from(String(key)), 2)).toBe(true)
  expect(counts.keeps(Buffer.from('0'), 2)).toBe(true)
})

it('holds a bounded number of bytes of keys', () => {
  const counts = new KeyCounts()
  const long = (index: number) => Buffer.alloc(100_000, index)
  for (let index = 0; index < 11; index++) expect(counts.keeps(long(index), 2)).toBe(true)
  expect([counts.keeps(long(10), 2), counts.keeps(long(0), 2)]).toEqual([false, true])
})
