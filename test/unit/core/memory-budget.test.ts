import { expect, it } from 'vitest'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'

it('never refuses, and says when it is out', () => {
  const budget = new MemoryBudget(100)
  budget.take(99)
  expect(budget.exhausted).toBe(false)
  budget.take(50)
  expect(budget.exhausted).toBe(true)
  expect(budget.usedBytes).toBe(149)
})

it('brings relief once, at seven eighths, to all that wait', () => {
  const budget = new MemoryBudget(80)
  const relieved: string[] = []
  budget.take(80)
  budget.onRelief(() => relieved.push('a'))
  budget.onRelief(() => relieved.push('b'))
  budget.give(9)
  expect(relieved).toEqual([])
  budget.give(1)
  expect(relieved).toEqual(['a', 'b'])
  budget.give(10)
  expect(relieved).toHaveLength(2)
})

it('resumes at once where there is room, and lets who is resumed take again', () => {
  const budget = new MemoryBudget(80)
  let resumed = 0
  budget.onRelief(() => resumed++)
  expect(resumed).toBe(1)
  budget.take(80)
  const again = (): void => {
    resumed++
    budget.take(80)
    budget.onRelief(again)
  }
  budget.onRelief(again)
  budget.give(80)
  expect(resumed).toBe(2)
  expect(budget.exhausted).toBe(true)
})

it('asserts that nothing is given back that was not taken', () => {
  expect(() => new MemoryBudget(1).give(1)).toThrow(/invariant/)
  expect(() => new MemoryBudget(0)).toThrow(/invariant/)
})
