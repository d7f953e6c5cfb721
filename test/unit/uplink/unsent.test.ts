import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Unsent } from '../../../src/state/uplink.ts'
import type { Gap, GapReason } from '../../../src/storage/log.ts'
import { unsentInAll, unsentOf } from '../../../src/uplink/unsent.ts'

const gap = (first: number, last: number, reason: GapReason): Gap => ({
  ...{ partition: partitionId(40), first, last, reason, logAge: 1 },
})

const cases: readonly {
  readonly what: string
  readonly stretch: readonly [first: number, end: number, records: number]
  readonly logStart?: number
  readonly gaps?: readonly Gap[]
  readonly unsent: Unsent
}[] = [
  { what: 'all of it was sent', stretch: [5, 15, 10], unsent: {} },
  { what: 'what compaction took', stretch: [5, 15, 7], unsent: { empty: 3 } },
  {
    what: 'what the budget took before it was sent',
    stretch: [5, 15, 5],
    logStart: 10,
    gaps: [gap(5, 9, 'budget')],
    unsent: { budget: 5 },
  },
  { what: 'what somebody deleted', stretch: [5, 15, 5], logStart: 10, unsent: { removed: 5 } },
  {
    what: 'a gap that begins before and one that ends behind',
    stretch: [5, 15, 3],
    logStart: 9,
    gaps: [gap(13, 20, 'damage'), gap(0, 7, 'retention')],
    unsent: { retention: 3, removed: 1, damage: 2, empty: 1 },
  },
  {
    what: 'gaps that lie over each other count once',
    stretch: [0, 10, 0],
    logStart: 10,
    gaps: [gap(2, 4, 'damage'), gap(0, 9, 'budget')],
    unsent: { budget: 10 },
  },
  {
    what: 'records of a batch that the log start cuts, sent all the same',
    stretch: [5, 15, 9],
    logStart: 8,
    unsent: { removed: 1 },
  },
]

it.each(cases)('$what', ({ stretch: [first, end, records], logStart = 0, gaps = [], unsent }) => {
  const found = unsentOf({ first, end, records }, logStart, gaps)
  expect(found).toEqual(unsent)
  expect(unsentInAll(found) + records).toBe(end - first)
})
