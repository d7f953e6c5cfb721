import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { Gaps } from '../../../src/storage/gaps.ts'

const gap = (partition: number, first: number, last: number, reason: 'budget' | 'retention' = 'budget') => ({
  partition: partitionId(partition),
  first,
  last,
  reason,
  logAge: 0,
})
const shown = (gaps: Gaps): string[] => gaps.list.map(({ partition, first, last }) => `${partition} ${first}-${last}`)

describe('gaps', () => {
  it('join what touches, of one partition and reason, at the place of the older one', () => {
    const gaps = new Gaps(10)
    for (const each of [gap(1, 0, 9), gap(2, 0, 9), gap(1, 10, 19), gap(1, 30, 39), gap(1, 20, 29, 'retention')]) {
      expect(gaps.add(each)).toBe(true)
    }
    expect(shown(gaps)).toEqual(['1 0-19', '2 0-9', '1 30-39', '1 20-29'])
    expect(gaps.add(gap(1, 5, 15))).toBe(false)
    expect([gaps.covers(partitionId(1), 0, 19), gaps.covers(partitionId(1), 0, 20)]).toEqual([true, false])
  })

  it('are summed past the limit, the oldest first', () => {
    const gaps = new Gaps(2)
    for (let partition = 1; partition <= 5; partition++) gaps.add(gap(partition, 0, 9))
    expect(shown(gaps)).toEqual(['4 0-9', '5 0-9'])
    expect(gaps.summed).toEqual({ count: 3, records: 30 })
    // what was summed is not known one by one any more
    expect(gaps.add(gap(1, 0, 9))).toBe(true)
  })

  it('of a partition that has several are summed one by one, whatever went before', () => {
    const gaps = new Gaps(3)
    for (const each of [gap(1, 0, 9), gap(2, 0, 9), gap(1, 20, 29)]) gaps.add(each)
    gaps.removePartition(2)
    for (const each of [gap(3, 0, 9), gap(3, 20, 29), gap(1, 30, 39)]) gaps.add(each)
    expect(shown(gaps)).toEqual(['1 20-39', '3 0-9', '3 20-29'])
    expect(gaps.summed).toEqual({ count: 1, records: 10 })
    gaps.add(gap(4, 0, 9))
    expect(shown(gaps)).toEqual(['3 0-9', '3 20-29', '4 0-9'])
    expect(gaps.summed).toEqual({ count: 2, records: 30 })
  })

  it('go with their partition', () => {
    const gaps = new Gaps(10)
    for (const each of [gap(1, 0, 9), gap(2, 0, 9), gap(1, 20, 29)]) gaps.add(each)
    gaps.removePartition(1)
    expect(shown(gaps)).toEqual(['2 0-9'])
    expect(gaps.covers(partitionId(1), 0, 9)).toBe(false)
  })
})
