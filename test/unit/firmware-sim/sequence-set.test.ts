import { expect, test } from 'vitest'
import { Random } from '../../../firmware-sim/random.ts'
import { SequenceSet } from '../../../firmware-sim/sequence-set.ts'

test('in order and out of order, a run is one range', () => {
  const set = new SequenceSet()
  for (const sequence of [1, 2, 3, 7, 6, 5, 4]) expect(set.add(sequence)).toBe(true)
  expect(set.add(4)).toBe(false)
  expect(set.ranges()).toEqual([[1, 7]])
  expect(set.size).toBe(7)
})

test('behaves as a plain set does', () => {
  const random = new Random(1)
  for (let round = 0; round < 50; round++) {
    const [set, plain] = [new SequenceSet(), new Set<number>()]
    const [other, plainOther] = [new SequenceSet(), new Set<number>()]
    for (let step = 0; step < 200; step++) {
      const value = Math.floor(random.between(1, 150))
      expect(set.add(value)).toBe(!plain.has(value))
      plain.add(value)
      const otherValue = Math.floor(random.between(1, 150))
      other.add(otherValue)
      plainOther.add(otherValue)
    }
    const values = (of: SequenceSet) => Array.from({ length: 160 }, (_, value) => value).filter(value => of.has(value))
    expect(set.size).toBe(plain.size)
    expect(values(set)).toEqual([...plain].sort((a, b) => a - b))
    expect(values(set.minus(other))).toEqual(values(set).filter(value => !plainOther.has(value)))
    expect(set.minus(other).size).toBe(values(set.minus(other)).length)
    expect(values(SequenceSet.fromRanges(set.ranges()))).toEqual(values(set))
  }
})

test('ranges that overlap or go back are refused', () => {
  expect(() =>
    SequenceSet.fromRanges([
      [1, 5],
      [5, 9],
    ]),
  ).toThrow(RangeError)
  expect(() => SequenceSet.fromRanges([[5, 1]])).toThrow(RangeError)
})
