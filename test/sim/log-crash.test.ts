import { expect, it } from 'vitest'
import { crashEverywhere } from '../support/sim/crash-points.ts'
import { seedsOf } from './seeds.ts'

it.each(seedsOf(4))('survives a crash at every write and sync: seed %i', async seed => {
  const { crashes } = await crashEverywhere({ seed, steps: 60, restarts: 2, crashesPerPoint: 2 })
  expect(crashes).toBeGreaterThan(100)
})

it.each(seedsOf(2, [13]))(
  'survives power cuts that damage the neighbours, with commit.align=always: seed %i',
  async seed => {
    const options = { align: 'always' as const }
    const plan = { seed, steps: 60, restarts: 1, crashesPerPoint: 2, damagesNeighbours: true, options }
    expect((await crashEverywhere(plan)).crashes).toBeGreaterThan(100)
  },
)

it.each(seedsOf(3))('survives crashes while it cleans, compacts, evicts and recycles slots: seed %i', async seed => {
  const options = { budgetBytes: 8 * 64 * 1024 }
  const plan = { seed, steps: 700, restarts: 1, crashesPerPoint: 1, share: 0.12, options }
  const { crashes, evictedRecords, cleanings, compactedRecords } = await crashEverywhere(plan)
  expect(crashes).toBeGreaterThan(50)
  expect(evictedRecords).toBeGreaterThan(100)
  expect(cleanings).toBeGreaterThan(0)
  expect(compactedRecords).toBeGreaterThan(0)
})
