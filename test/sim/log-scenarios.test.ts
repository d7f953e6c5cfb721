import { expect, it } from 'vitest'
import { CrashReport, crashEverywhere } from '../support/sim/crash-points.ts'
import { scenarioNames, scenarioOf, scenarios, soakPlan } from '../support/sim/scenarios.ts'
import { seedsOf } from './seeds.ts'

it('survives every subset of what was not synced, at every write and sync, and a crash at each point of some recoveries', async () => {
  const report = await crashEverywhere({
    ...scenarios.appends,
    seed: 1,
    steps: 6,
    restarts: 0,
    crashesPerPoint: 'every',
    recoveryShare: 0.01,
  })
  console.log(`crash points: ${JSON.stringify(report)}`)
  expect(report.torn).toBeGreaterThan(100)
  expect(report.recoveryCrashes).toBeGreaterThan(20)
})

// such runs found a removed partition that came back, and data that went before the rules of its topic were known
it.each(seedsOf(scenarioNames.length))('survives crashes under all kinds of load: seed %i', async seed => {
  const name = scenarioOf(seed)
  const report = new CrashReport()
  report.add(await crashEverywhere({ ...scenarios[name], seed, crashesPerPoint: 1, share: 0.05, mostPoints: 60 }))
  expect(report.crashes, name).toBeGreaterThan(3)
})

/** Seeds of `npm run soak -- crash` that found something, and the point at which they did. */
const found = [
  [57, 107, 'a dead segment came back, and ends of partitions were guessed though segments behind it tell them'],
  [146, 21, 'a removed partition came back, because a summary in the checkpoint still named it'],
  [211, 40, 'a recovery that a power cut ended left half of a group, and a reader took the rest for all of it'],
  [244, 97, 'data was evicted and appends were refused, because cleaning had been given up'],
  [246, 55, 'a batch in a torn group was read, and not the copy behind it'],
  [351, 56, 'a recovery moved the newest group, and the footer of before, which names its old place, was believed'],
] as const

it.each(found)('survives seed %i of the long run up to point %i: %s', async (seed, mostPoints) => {
  const { crashes } = await crashEverywhere({ ...soakPlan(seed), mostPoints })
  expect(crashes).toBeGreaterThan(20)
})
