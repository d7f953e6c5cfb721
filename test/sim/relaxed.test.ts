import { expect, it } from 'vitest'
import { crashEverywhere } from '../support/sim/crash-points.ts'
import { relaxes } from '../support/sim/scenarios.ts'
import { seedsOf } from './seeds.ts'

it.each(seedsOf(3))('a crash costs relaxed records of the last second at most, and no others: seed %i', async seed => {
  const plan = { ...relaxes, seed, crashesPerPoint: 1, share: 0.2, recoveryShare: 0.002 }
  expect((await crashEverywhere(plan)).crashes).toBeGreaterThan(30)
})
