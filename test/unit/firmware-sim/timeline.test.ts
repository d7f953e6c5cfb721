import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { scenarioNamed, scenarios, steady, withFaults } from '../../../firmware-sim/index.ts'
import { Link } from '../../../firmware-sim/link.ts'
import { Random } from '../../../firmware-sim/random.ts'
import { mayStall } from '../../../firmware-sim/scenario.ts'
import { Timeline } from '../../../firmware-sim/timeline.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const noSocket = () => {
  throw new Error('no connection in this test')
}

const links = (count: number): Link[] =>
  Array.from(
    { length: count },
    () =>
      new Link({
        dial: noSocket,
        conditions: steady.conditions,
        random: new Random(1),
        now: () => Date.now(),
        mayStall: false,
      }),
  )

const down = (of: readonly Link[]): number => of.filter(link => link.isDown).length

test('a drop takes all links down for its time, and a repeated one comes again', () => {
  const all = links(3)
  const fault = { kind: 'drop', startMs: 10_000, durationMs: 2_000, everyMs: 30_000 } as const
  const timeline = new Timeline(withFaults(steady, {}, [fault]), all, new Random(1))
  timeline.start()
  const downAt: number[] = []
  for (let second = 1; second <= 80; second++) {
    vi.advanceTimersByTime(1_000)
    if (down(all) === 3) downAt.push(second)
    else expect(down(all)).toBe(0)
  }
  expect(downAt).toEqual([10, 11, 40, 41, 70, 71])
  timeline.stop()
})

test('links flap each for itself, the same for the same seed, and heal when the timeline stops', () => {
  const history = (seed: number): string => {
    const all = links(20)
    const timeline = new Timeline(scenarioNamed('flaky')!, all, new Random(seed))
    timeline.start()
    const counts: number[] = []
    for (let second = 0; second < 600; second++) {
      vi.advanceTimersByTime(1_000)
      counts.push(down(all))
    }
    timeline.stop()
    expect(down(all)).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
    return counts.join(' ')
  }
  const once = history(1)
  expect(history(1)).toBe(once)
  expect(history(2)).not.toBe(once)
  const counts = once.split(' ').map(Number)
  const downShare = counts.reduce((sum, count) => sum + count, 0) / counts.length / 20
  expect(downShare).toBeGreaterThan(0.03)
  expect(downShare).toBeLessThan(0.14)
})

test('stopping in the middle of a fault ends it', () => {
  const all = links(2)
  const timeline = new Timeline(
    withFaults(steady, {}, [{ kind: 'drop', startMs: 0, durationMs: 60_000 }]),
    all,
    new Random(1),
  )
  timeline.start()
  vi.advanceTimersByTime(1_000)
  expect(down(all)).toBe(2)
  timeline.stop()
  expect(down(all)).toBe(0)
})

test('the named scenarios are distinct, and only silent ones ask for a link that can stall', () => {
  expect(new Set(scenarios.map(scenario => scenario.name)).size).toBe(scenarios.length)
  expect(scenarios.filter(mayStall).map(scenario => scenario.name)).toEqual(['cellular', 'outage'])
})
