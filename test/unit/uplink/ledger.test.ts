import { expect, it } from 'vitest'
import type { CentralSpan } from '../../../src/state/uplink.ts'
import { carried, centralRecords, emptyLedger, type Ledger, passed } from '../../../src/uplink/ledger.ts'

const round = (target: string, targetId: string, ...spans: [number, CentralSpan][]) => ({
  ...{ target, targetId, unsent: {}, central: new Map(spans), namedFrom: undefined },
})
const span = (first: number, last: number, records: number): CentralSpan => ({ first, last, records })

/** What a ledger promises of itself. */
const balanced = (ledger: Ledger): boolean =>
  ledger.records === centralRecords(ledger) + ledger.elsewhere.renamed + ledger.elsewhere.remade

it('adds up what rounds bring, by partition of the target', () => {
  const one = carried(emptyLedger, round('t', 'id', [0, span(4, 8, 5)], [2, span(0, 0, 1)]))
  const two = carried(passed(one, { skipped: 3 }), { ...round('t', 'id', [0, span(11, 20, 9)]), unsent: { empty: 2 } })
  expect(two).toEqual({
    records: 15,
    unsent: { skipped: 3, empty: 2 },
    target: 't',
    targetId: 'id',
    central: { 0: span(4, 20, 14), 2: span(0, 0, 1) },
    elsewhere: { renamed: 0, remade: 0 },
  })
  expect(balanced(two)).toBe(true)
})

it('another target begins anew, and what went to the one before is not forgotten', () => {
  const one = carried(emptyLedger, round('t', 'id', [0, span(4, 8, 5)]))
  const remade = carried(one, round('t', 'other', [0, span(0, 1, 2)]))
  const renamed = carried(remade, round('u', 'third', [1, span(9, 9, 1)]))
  expect(remade).toMatchObject({ central: { 0: span(0, 1, 2) }, elsewhere: { renamed: 0, remade: 5 } })
  expect(renamed).toMatchObject({ records: 8, central: { 1: span(9, 9, 1) }, elsewhere: { renamed: 2, remade: 5 } })
  expect([one, remade, renamed].every(balanced)).toBe(true)
})

it('knows since when each record names its origin, without a break and in one target', () => {
  const from = (namedFrom: number | undefined, target = 't') => ({
    ...round(target, 'id', [0, span(0, 0, 1)]),
    namedFrom,
  })
  const one = carried(emptyLedger, from(7))
  const two = carried(one, from(20))
  expect([one.named, two.named, passed(two, { skipped: 3 }).named]).toEqual([7, 7, 7])
  const broken = carried(two, from(undefined))
  expect(broken).not.toHaveProperty('named')
  expect(carried(broken, from(30)).named).toBe(30)
  expect(carried(two, from(30, 'u')).named).toBe(30)
})
