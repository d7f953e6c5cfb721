import { expect, it } from 'vitest'
import {
  covered,
  emptyTrack,
  endOf,
  holesIn,
  newestFirst,
  offsetsIn,
  type Track,
  trackOf,
} from '../../../src/uplink/track.ts'
import { SimRandom } from '../../support/sim/random.ts'

const with_ = (...spans: readonly [first: number, end: number][]): Track =>
  spans.reduce((track, [first, end]) => covered(track, { first, end }), emptyTrack)

it('what is covered joins what it touches', () => {
  expect(with_([0, 10])).toEqual({ next: 10, ahead: [] })
  expect(with_([0, 10], [50, 60])).toEqual({ next: 10, ahead: [{ first: 50, last: 59 }] })
  expect(with_([0, 10], [50, 60], [60, 70])).toEqual({ next: 10, ahead: [{ first: 50, last: 69 }] })
  expect(with_([0, 10], [50, 60], [10, 50])).toEqual({ next: 60, ahead: [] })
  expect(with_([5, 5])).toEqual(emptyTrack)
  expect(trackOf({ last: -1, ahead: [{ first: 3, last: 4 }] })).toEqual(with_([3, 5]))
})

it('agrees with a set of offsets, whatever is covered in which order', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new SimRandom(seed)
    const offsets = new Set<number>()
    let track = emptyTrack
    for (let step = 0; step < 30; step++) {
      const first = random.below(100)
      const end = first + random.below(15)
      track = covered(track, { first, end })
      for (let offset = first; offset < end; offset++) offsets.add(offset)
      const missing = holesIn(track, 120).flatMap(hole =>
        Array.from({ length: hole.end - hole.first }, (_, at) => hole.first + at),
      )
      expect(missing).toEqual(Array.from({ length: 120 }, (_, offset) => offset).filter(offset => !offsets.has(offset)))
      expect(offsetsIn(track)).toBe(offsets.size)
      expect(endOf(track)).toBe(Math.max(-1, ...offsets) + 1)
    }
  }
})

it('a long backlog gives way to what came last, and is filled from its oldest on', () => {
  const at = { logStart: 0, end: 100 }
  expect(newestFirst(emptyTrack, at, 60)).toEqual([{ first: 0, end: 100 }])
  expect(newestFirst(emptyTrack, at, 10)).toEqual([
    { first: 90, end: 100 },
    { first: 0, end: 90 },
  ])
  const live = with_([0, 5], [90, 100])
  expect(newestFirst(live, { logStart: 0, end: 103 }, 10)).toEqual([
    { first: 100, end: 103 },
    { first: 5, end: 90 },
  ])
  expect(newestFirst(live, at, 10)).toEqual([{ first: 5, end: 90 }])
  expect(newestFirst(live, { logStart: 0, end: 200 }, 10)).toEqual([
    { first: 190, end: 200 },
    { first: 5, end: 90 },
    { first: 100, end: 190 },
  ])
  // what the log no longer has is no backlog
  expect(newestFirst(emptyTrack, { logStart: 90, end: 100 }, 10)).toEqual([{ first: 0, end: 100 }])
})

it('names a bounded number of spans', () => {
  let track = emptyTrack
  for (let end = 1_000; end <= 20_000; end += 1_000) {
    const [newest] = newestFirst(track, { logStart: 0, end }, 10)
    track = covered(track, { first: newest!.first, end: Math.min(newest!.end, newest!.first + 10) })
    expect(track.ahead.length).toBeLessThanOrEqual(8)
  }
  expect(track.ahead).toHaveLength(8)
})
