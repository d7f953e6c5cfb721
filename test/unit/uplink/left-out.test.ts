import { expect, it } from 'vitest'
import type { LeftOut, LeftOutSpan } from '../../../src/state/uplink.ts'
import { nothingLeftOut, withSpans } from '../../../src/uplink/left-out.ts'

const span = (first: number, last: number, reason: LeftOutSpan['reason'] = 'expired', records = last - first + 1) => ({
  first,
  last,
  records,
  reason,
  logAge: 7,
})
const after = (...added: readonly [next: number, span: LeftOutSpan][]): LeftOut =>
  added.reduce((known, [next, one]) => withSpans(known, next, [one]), nothingLeftOut('id'))
const texts = ({ spans }: LeftOut): string[] =>
  spans.map(({ first, last, reason, records }) => `${first}-${last} ${reason} ${records}`)

it('spans that touch are one once they are settled', () => {
  const known = after([0, span(0, 9)], [10, span(10, 14)], [15, span(15, 19)], [30, span(30, 39)])
  expect(texts(known)).toEqual(['0-19 expired 20', '30-39 expired 10'])
})

it('reasons stay apart', () => {
  const known = after(
    [0, span(0, 9)],
    [10, span(10, 19, 'thinned', 9)],
    [20, span(20, 29, 'thinned', 8)],
    [30, span(30, 39)],
  )
  expect(texts(known)).toEqual(['0-9 expired 10', '10-29 thinned 17', '30-39 expired 10'])
})

it('what was written for a round that failed is replaced, not counted twice', () => {
  const failed = after([0, span(0, 9, 'thinned', 9)], [10, span(10, 19, 'thinned', 9)])
  expect(texts(withSpans(failed, 10, [span(10, 29, 'thinned', 18)]))).toEqual(['0-9 thinned 9', '10-29 thinned 18'])
  // the lane had gone on behind it in memory only, and begins before it again
  const forgotten = after([0, span(0, 9)], [10, span(10, 19)], [20, span(20, 29)])
  expect(texts(withSpans(forgotten, 5, [span(5, 34)]))).toEqual(['0-4 expired 5', '5-34 expired 30'])
})

it('is bounded: the oldest are summed', () => {
  const known = after(
    ...Array.from({ length: 50 }, (_, index) => [100 * index, span(100 * index, 100 * index + 9)] as const).map(
      one => [...one] as [number, LeftOutSpan],
    ),
  )
  expect(known.spans).toHaveLength(20)
  expect(known.older).toEqual({ spans: 30, records: 300 })
  expect(known.spans[0]!.first).toBe(3_000)
})

it('what a round in doubt has left out is kept until it is judged again', () => {
  const doubted = after([0, span(0, 9)], [10, span(10, 29)])
  expect(texts(withSpans(doubted, 10, [span(10, 19)], 20))).toEqual([
    '0-9 expired 10',
    '10-19 expired 10',
    '20-29 expired 10',
  ])
})
