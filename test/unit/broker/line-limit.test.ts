import { expect, it } from 'vitest'
import { LineLimit } from '../../../src/broker/line-limit.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

it('one line for each reason in ten seconds, the next one counts what was kept back', async () => {
  const clock = new VirtualClock()
  const lines = new LineLimit<'garbage' | 'idle'>(clock)
  expect(lines.admit('garbage')).toEqual({})
  expect(lines.admit('garbage')).toBeUndefined()
  expect(lines.admit('idle')).toEqual({})
  expect(lines.admit('garbage')).toBeUndefined()
  await clock.advance(10_000)
  expect(lines.admit('garbage')).toEqual({ linesSuppressed: 2 })
  expect(lines.admit('idle')).toEqual({})
})
