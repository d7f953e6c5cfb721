import { expect, it } from 'vitest'
import { OffsetRanges } from '../../../src/mqtt/offset-ranges.ts'
import { SimRandom } from '../../support/sim/random.ts'

const limit = 60

it('is a set of offsets, whatever is added and taken out', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SimRandom(seed)
    const ranges = new OffsetRanges()
    const model = new Set<number>()
    for (let step = 0; step < 60; step++) {
      const start = random.below(limit)
      const end = start + random.below(8)
      const adds = random.chance(0.5)
      if (!adds) ranges.delete(start, end)
      else if (end > start) ranges.add(start, end)
      for (let offset = start; offset < end; offset++) {
        if (adds) model.add(offset)
        else model.delete(offset)
      }
      const expected = [...model].sort((one, other) => one - other)
      const found = [...ranges].flatMap(([from, to]) => Array.from({ length: to - from }, (_, index) => from + index))
      expect(found, `seed ${seed}`).toEqual(expected)
      // apart from each other
      const sorted = [...ranges]
      for (const [index, [from]] of sorted.entries()) if (index > 0) expect(from).toBeGreaterThan(sorted[index - 1]![1])
      const at = random.below(limit)
      const to = at + random.below(20)
      expect(ranges.has(at)).toBe(model.has(at))
      expect(ranges.first).toBe(expected[0])
      expect(ranges.from(at)).toBe(expected.find(offset => offset >= at))
      expect(ranges.countIn(at, to)).toBe(expected.filter(offset => offset >= at && offset < to).length)
    }
  }
})

it('may go on without an end', () => {
  const ranges = new OffsetRanges([[3, 5]])
  expect(ranges.tail).toBeUndefined()
  ranges.add(10, Number.POSITIVE_INFINITY)
  ranges.delete(12, 13)
  expect([...ranges]).toEqual([
    [3, 5],
    [10, 12],
    [13, Number.POSITIVE_INFINITY],
  ])
  expect(ranges.tail).toBe(13)
  ranges.add(5, 20)
  expect([...ranges]).toEqual([[3, Number.POSITIVE_INFINITY]])
  ranges.delete(4, Number.POSITIVE_INFINITY)
  expect([...ranges]).toEqual([[3, 4]])
})
