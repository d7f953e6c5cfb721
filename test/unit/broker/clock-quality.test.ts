import { describe, expect, it } from 'vitest'
import { ClockWatch } from '../../../src/broker/clock-quality.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { TimeSyncState } from '../../../src/platform/time-sync.ts'
import { JumpingClock } from '../../support/jumping-clock.ts'
import { silentLogger } from '../../support/silent-logger.ts'

const tenYearsMs = 10 * 365.25 * 86_400_000

const open = async (answer: { state?: TimeSyncState | undefined }, assumed: 'unknown' | 'synchronised' = 'unknown') => {
  const clock = new JumpingClock()
  const metrics = new Metrics()
  let asked = 0
  const ask = async (): Promise<TimeSyncState | undefined> => {
    asked++
    return answer.state
  }
  const watch = new ClockWatch({ clock, ask, assumed, logAge: () => 7, metrics, logger: silentLogger })
  await watch.start()
  return { clock, metrics, watch, asked: () => asked }
}

describe('quality of the wall clock', () => {
  it('is unknown when nobody vouches for it, and what the operator says only where no service tells', async () => {
    expect((await open({})).watch.summary()).toEqual({ quality: 'unknown', source: null, steps: [] })
    const trusted = await open({}, 'synchronised')
    expect(trusted.watch.summary()).toMatchObject({ quality: 'synchronised', source: 'setting' })
    const denied = await open({ state: { source: 'chrony', synchronised: false } }, 'synchronised')
    expect(denied.watch.summary()).toMatchObject({ quality: 'unknown', source: 'chrony' })
  })

  it('follows the service, which is asked once a minute', async () => {
    const answer: { state?: TimeSyncState | undefined } = {}
    const { clock, watch, asked } = await open(answer)
    answer.state = { source: 'systemd-timesyncd', synchronised: true }
    await clock.advance(59_000)
    expect(watch.quality()).toBe('unknown')
    await clock.advance(2_000)
    expect(watch.summary()).toMatchObject({ quality: 'synchronised', source: 'systemd-timesyncd' })
    await clock.advance(600_000)
    expect(asked()).toBeLessThanOrEqual(12)
  })

  it.each([tenYearsMs, -tenYearsMs, 1_500, -1_500])('sees a step of %d ms at once and names both sides', async byMs => {
    const { clock, watch, metrics } = await open({ state: { source: 'chrony', synchronised: true } })
    await clock.advance(5_000)
    const fromMs = clock.wallMs()
    clock.jump(byMs)
    expect(watch.quality()).toBe('stepped')
    expect(watch.summary().steps).toEqual([{ fromMs, toMs: fromMs + byMs, logAge: 7 }])
    expect(metrics.count('clockSteps', byMs > 0 ? 'forward' : 'back')).toBe(1)
    await clock.advance(71_000)
    expect(watch.quality()).toBe('synchronised')
    expect(watch.summary().steps).toHaveLength(1)
  })

  it('takes neither slewing nor the sleep of the machine for a step', async () => {
    const { clock, watch } = await open({ state: { source: 'chrony', synchronised: true } })
    for (let minute = 0; minute < 60; minute++) {
      clock.jump(30)
      await clock.advance(60_000)
      expect(watch.quality()).toBe('synchronised')
    }
    clock.suspend(3_600_000)
    expect(watch.quality()).toBe('synchronised')
    expect(watch.summary().steps).toEqual([])
  })
})
