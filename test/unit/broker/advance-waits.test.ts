import { expect, it } from 'vitest'
import { AdvanceWaits } from '../../../src/broker/advance-waits.ts'
import { partitionId } from '../../../src/core/brand.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const [one, two] = [partitionId(40), partitionId(41)]

const watched = (wait: { advanced: Promise<void> }): { done: boolean } => {
  const state = { done: false }
  void wait.advanced.then(() => {
    state.done = true
  })
  return state
}

it('ends a wait when one of its partitions moves, and only then', async () => {
  const clock = new VirtualClock()
  const waits = new AdvanceWaits(clock)
  const both = watched(waits.wait([one, two], 1000))
  const other = watched(waits.wait([one], 1000))
  waits.advanced([two])
  await clock.advance(0)
  expect([both.done, other.done]).toEqual([true, false])
  waits.advanced([one, two])
  await clock.advance(0)
  expect(other.done).toBe(true)
  expect(clock.pendingTimers).toBe(0)
})

it('ends at its time, or when it is cancelled, and leaves nothing behind', async () => {
  const clock = new VirtualClock()
  const waits = new AdvanceWaits(clock)
  const timed = watched(waits.wait([one], 100))
  const wait = waits.wait([one], 1000)
  const cancelled = watched(wait)
  wait.cancel()
  wait.cancel()
  await clock.advance(99)
  expect([timed.done, cancelled.done]).toEqual([false, true])
  await clock.advance(1)
  expect(timed.done).toBe(true)
  expect(clock.pendingTimers).toBe(0)
  waits.advanced([one])
})
