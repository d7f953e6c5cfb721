import { expect, it } from 'vitest'
import type { WrittenFirst } from '../support/sim/downlink-gateway.ts'
import { DownlinkRun } from '../support/sim/downlink-run.ts'
import { reportHistory } from '../support/sim/report.ts'
import { seedsOf } from './seeds.ts'

const simulate = (seed: number, writtenFirst?: WrittenFirst): Promise<void> => {
  const run = new DownlinkRun(seed, writtenFirst)
  return reportHistory(run.machine, () => run.run())
}

it.each(seedsOf(25))('each command is here once, and its report says what became of it: seed %i', async seed => {
  await simulate(seed)
})

it.each([
  ['records', /is here twice|is to be read next|counted as taken|reports of/],
  ['changes', /is not here|counted as taken|reports of|not everything/],
] as const)(
  'the canary: %s that are written before what belongs to them are found',
  async (writtenFirst, complaint) => {
    const found: string[] = []
    for (let seed = 1; seed <= 30 && found.length === 0; seed++)
      await simulate(seed, writtenFirst).catch(error => found.push(String(error)))
    expect(found[0]).toMatch(complaint)
  },
)
