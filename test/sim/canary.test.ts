import { expect, it } from 'vitest'
import { type CrashPlan, crashEverywhere } from '../support/sim/crash-points.ts'
import { relaxes } from '../support/sim/scenarios.ts'

const usual = { steps: 40, restarts: 1, crashesPerPoint: 3 }

/** Seeds until the bug shows; the message of the first that found it. */
const found = async (plan: Partial<CrashPlan>): Promise<string> => {
  for (let seed = 1; seed <= 3; seed++) {
    try {
      await crashEverywhere({ ...usual, ...plan, seed })
    } catch (error) {
      return (error as Error).message
    }
  }
  return 'nothing was found'
}

it('finds a commit writer that acks before the write is on the device', async () => {
  expect(await found({ bugs: { acksEarly: true } })).toMatch(/acked records are there|the log is damaged/)
})

it('finds a recovery that shows the newest group without writing it again', async () => {
  expect(await found({ bugs: { skipsRewrites: true } })).toContain('acked records are there')
})

it('finds a cold segment that is published, and a slot that is reused, before the sync', async () => {
  const options = { budgetBytes: 8 * 64 * 1024 }
  const plan = { bugs: { skipsSyncs: true }, steps: 300, crashesPerPoint: 2, share: 0.3, options }
  expect(await found(plan)).toMatch(
    /offsets \d+ to \d+ are there|the newest record|acked records are there|bytes appended/,
  )
})

it('finds a slot that is reused before the log start that made it dead is on the device', async () => {
  const options = { budgetBytes: 8 * 64 * 1024 }
  const workload = { asksNothing: true }
  const plan = { bugs: { acksControlEarly: true }, steps: 300, crashesPerPoint: 2, share: 0.3, options, workload }
  expect(await found(plan)).toMatch(/offsets \d+ to \d+ are there, or in a gap record/)
})

it('finds a commit that is acknowledged before the relaxed groups in front of it are on the device', async () => {
  const plan = { bugs: { syncsCommitsAlone: true }, ...relaxes, crashesPerPoint: 1, share: 0.3 }
  expect(await found(plan)).toContain('acked records are there')
})

it('finds a recovery that cuts too much', async () => {
  expect(await found({ bugs: { cutsTooMuch: true } })).toContain('acked records are there')
})

it('finds that a power cut which damages neighbours needs commit.align=always', async () => {
  expect(await found({ damagesNeighbours: true, options: { align: 'auto' } })).toContain('acked records are there')
})
