import { expect, it } from 'vitest'
import { crashEverywhere } from '../support/sim/crash-points.ts'
import type { PlantedBugs } from '../support/sim/io.ts'

const plan = { steps: 40, restarts: 1, crashesPerPoint: 3 }

/** Seeds until the bug shows; the message of the first that found it. */
const found = async (bugs: PlantedBugs): Promise<string> => {
  for (let seed = 1; seed <= 3; seed++) {
    try {
      await crashEverywhere({ ...plan, seed, bugs })
    } catch (error) {
      return (error as Error).message
    }
  }
  return 'nothing was found'
}

it('finds a commit writer that acks before the write is on the device', async () => {
  expect(await found({ acksEarly: true })).toMatch(/acked records are there|the log is damaged/)
})

it('finds a recovery that shows the newest group without writing it again', async () => {
  expect(await found({ skipsRewrites: true })).toContain('acked records are there')
})
