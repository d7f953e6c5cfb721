import { expect, it } from 'vitest'
import { LogModel } from '../support/sim/log-model.ts'
import { LogRun } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { reportHistory } from '../support/sim/report.ts'
import { seedsOf } from './seeds.ts'

it.each(seedsOf(10))('a log with clean restarts keeps everything: seed %i', async seed => {
  const machine = new SimMachine(seed)
  const run = new LogRun(machine, new LogModel(), seed)
  await reportHistory(machine, () =>
    machine.clock.run(
      (async () => {
        for (let start = 0; start < 4; start++) {
          await run.open()
          await run.steps(150)
          await run.close()
        }
      })(),
    ),
  )
  expect(run.model.ackedGroups).toBeGreaterThan(100)
})
