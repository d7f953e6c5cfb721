import { expect, it } from 'vitest'
import type { MeteredWindow } from '../../../src/config/metered-windows.ts'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { Caps } from '../../../src/uplink/caps.ts'
import { openWindows } from '../../../src/uplink/open-windows.ts'

const everyDay = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
const work: MeteredWindow = {
  fromMinute: 8 * 60,
  toMinute: 18 * 60,
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  rate: 1000,
  classes: ['critical'],
}
const night: MeteredWindow = {
  fromMinute: 22 * 60 + 30,
  toMinute: 6 * 60,
  days: ['sat'],
  rate: 0,
  classes: ['bulk', 'normal', 'critical'],
}
/** 5 January 2026 is a Monday; a time of the zone that the machine has. */
const at = (day: number, hour: number, minute = 0): number => new Date(2026, 0, day, hour, minute).getTime()

it('windows are open from their first minute to before their last, on the days on which they begin', () => {
  const open = (wallMs: number): number[] =>
    openWindows([work, night], wallMs).map(window => [work, night].indexOf(window))
  expect([at(5, 7, 59), at(5, 8), at(5, 17, 59), at(5, 18), at(10, 12)].map(open)).toEqual([[], [0], [0], [], []])
  // begins on Saturday the 10th, ends on Sunday; Sunday has none of its own
  expect([at(10, 22, 29), at(10, 22, 30), at(11, 5, 59), at(11, 6), at(11, 23), at(12, 1)].map(open)).toEqual([
    [],
    [1],
    [1],
    [],
    [],
    [],
  ])
})

const capsOf = (settings: Partial<Settings>, wall: { ms: number; right?: boolean } = { ms: at(5, 12) }): Caps =>
  new Caps({ ...defaultSettings, ...settings }, { wallMs: () => wall.ms, isRight: () => wall.right ?? true })
const held = (caps: Caps, nowMs: number) => [...caps.holds(nowMs)].map(([one, { by }]) => `${one}: ${by}`)

it('nothing is held without caps', () => {
  const caps = capsOf({})
  caps.count(10 ** 9, new Map([['normal', 10 ** 9]]), 0)
  expect(held(caps, 0)).toEqual([])
  expect(caps.room(123).left('bulk')).toBe(123)
})

it('a window lets only its classes through, at its rate, while it is open', () => {
  const wall = { ms: at(5, 12) }
  const caps = capsOf({ 'uplink.metered': [work] }, wall)
  const by = 'uplink.metered 08:00 to 18:00 mon-fri, until 18:00'
  expect(held(caps, 0)).toEqual([`bulk: ${by}`, `normal: ${by}`])
  expect(caps.room(10 ** 6).left('critical')).toBe(4_000)
  caps.count(3_000, new Map([['critical', 2_000]]), 0)
  expect(caps.holds(0).get('critical')).toEqual({
    by: 'uplink.metered 08:00 to 18:00 mon-fri (1000 bytes/s)',
    untilMs: 2_001,
  })
  wall.ms = at(5, 18)
  expect(held(caps, 0)).toEqual([])
  expect(caps.room(10 ** 6).left('critical')).toBe(10 ** 6)
})

it('a debt of a window is looked at again each minute: the window may close before it is paid', () => {
  const wall = { ms: at(5, 17, 59) }
  const caps = capsOf({ 'uplink.metered': [work] }, wall)
  caps.count(10 ** 6, new Map([['critical', 10 ** 6]]), 0)
  const { untilMs } = caps.holds(0).get('critical')!
  expect(untilMs).toBeLessThanOrEqual(60_000)
  wall.ms += untilMs
  expect(held(caps, untilMs)).toEqual([])
})

it('with a clock that nobody vouches for all windows hold', () => {
  const wall = { ms: at(10, 12), right: false }
  const caps = capsOf({ 'uplink.metered': [{ ...work, days: everyDay, rate: Number.POSITIVE_INFINITY }] }, wall)
  expect(held(caps, 0)[0]).toBe(
    'bulk: uplink.metered 08:00 to 18:00, which holds at all times while the clock is not known to be right (clock.quality)',
  )
  wall.right = true
  wall.ms = at(10, 19)
  expect(held(caps, 0)).toEqual([])
})

it('a cap of a class holds its batches and no others, the cap of all holds whatever was sent', () => {
  const caps = capsOf({ 'uplink.rate.max': 2_000, 'uplink.rate.max.bulk': 500 })
  expect([caps.room(10 ** 6).left('bulk'), caps.room(10 ** 6).left('normal')]).toEqual([2_000, 8_000])
  caps.count(1_500, new Map([['bulk', 1_000]]), 0)
  expect(held(caps, 0)).toEqual(['bulk: uplink.rate.max.bulk (500 bytes/s)'])
  expect(held(caps, 1_010)).toEqual([])
  caps.count(1_500 + 4_000, new Map(), 1_010)
  expect(held(caps, 1_010)).toHaveLength(3)
  caps.change('uplink.rate.max', Number.POSITIVE_INFINITY)
  expect(held(caps, 1_010)).toEqual([])
})

it('over minutes as much goes as the cap says, whatever the size of the batches', () => {
  const caps = capsOf({ 'uplink.rate.max': 1_000 })
  let sent = 0
  let nowMs = 0
  for (let round = 0; nowMs < 600_000; round++) {
    sent += 300 + ((round * 7_919) % 9_000)
    caps.count(sent, new Map(), nowMs)
    nowMs = Math.max(nowMs + 20, caps.holds(nowMs).get('normal')?.untilMs ?? 0)
  }
  expect(sent / (nowMs / 1_000)).toBeGreaterThan(990)
  expect(sent / (nowMs / 1_000)).toBeLessThan(1_010)
})
