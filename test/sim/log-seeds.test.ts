import { expect, it } from 'vitest'
import { CrashReport, crashEverywhere } from '../support/sim/crash-points.ts'
import { scenarioOf, scenarios } from '../support/sim/scenarios.ts'
import { seedsOf } from './seeds.ts'

/** Many short runs instead of few long ones: 2,000 seeds in each build, a crash or two at drawn points of each. */

const seedsPerTest = 125
const seeds = seedsOf(2000)
const parts = Array.from({ length: Math.ceil(seeds.length / seedsPerTest) }, (_, index) =>
  seeds.slice(index * seedsPerTest, (index + 1) * seedsPerTest),
).map(part => [part[0]!, part.at(-1)!, part] as const)

it.each(parts)('survives a crash somewhere in a short run: seeds %i to %i', async (_first, _last, part) => {
  const report = new CrashReport()
  for (const seed of part) {
    const steps = 60 + (seed % 5) * 20
    const scenario = { ...scenarios[scenarioOf(seed)], steps, restarts: 0 }
    try {
      report.add(await crashEverywhere({ ...scenario, seed, crashesPerPoint: 1, share: 0.02, mostPoints: 2 }))
    } catch (error) {
      const again = `SEED=${seed} npm run sim -- test/sim/log-seeds.test.ts`
      throw new Error(`${scenarioOf(seed)}: ${(error as Error).message}\n  again: ${again}`, { cause: error })
    }
  }
  // some draw no point
  expect(report.crashes).toBeGreaterThanOrEqual(part.length > 1 ? part.length : 0)
})
