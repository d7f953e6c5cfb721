import { expect, it } from 'vitest'
import { Deadline } from '../../../../src/broker/groups/deadline.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

function deadline() {
  const clock = new VirtualClock()
  const passedAt: number[] = []
  return { clock, passedAt, moved: new Deadline(clock, () => passedAt.push(clock.monotonicMs())) }
}

it('passes once, at the time it was last set to', async () => {
  const { clock, passedAt, moved } = deadline()
  moved.set(100)
  await clock.advance(60)
  moved.set(100)
  await clock.advance(60)
  moved.set(100)
  await clock.advance(1000)
  expect(passedAt).toEqual([220])
  moved.set(10)
  await clock.advance(1000)
  expect(passedAt).toEqual([220, 1130])
})

it('can come nearer, and be cleared', async () => {
  const { clock, passedAt, moved } = deadline()
  moved.set(300_000)
  moved.set(10)
  await clock.advance(20)
  expect(passedAt).toEqual([10])
  moved.set(10)
  moved.clear()
  await clock.advance(20)
  expect(passedAt).toEqual([10])
  expect(clock.pendingTimers).toBe(0)
})
