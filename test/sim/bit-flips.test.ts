import { expect, it } from 'vitest'
import { LogModel } from '../support/sim/log-model.ts'
import { LogRun } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { reportHistory } from '../support/sim/report.ts'

const slotBytes = 64 * 1024
/** The largest batch of the run is within it: nothing beyond one batch may be lost. */
const batchBytes = 12 * 1024
/** One byte in so many is changed, all of them with FLIP_STRIDE=1; the bit goes round. */
const stride = Number(process.env['FLIP_STRIDE'] ?? 1999)

/** A small log that was stopped and lost its power: a few sealed segments and an active one. */
const smallLog = async (): Promise<{ machine: SimMachine; model: LogModel }> => {
  const machine = new SimMachine(5)
  const run = new LogRun(machine, new LogModel(), 5)
  await machine.clock.run(
    (async () => {
      await run.open()
      await run.steps(150)
      await run.close()
    })(),
  )
  machine.crash('power')
  return { machine, model: run.model }
}

it('a flipped bit anywhere in a slot is seen and costs a batch at most', async () => {
  const { machine, model } = await smallLog()
  let flips = 0
  let lossy = 0
  for (const name of machine.disk.list('/data/log')) {
    const path = `/data/log/${name}`
    for (let at = flips % stride; at < Math.min(slotBytes, machine.disk.content(path).length); at += stride) {
      const copy = machine.fork(at)
      copy.disk.note(`flip bit ${flips % 8} of ${path} ${at}`)
      copy.disk.flipBit(path, at, flips++ % 8)
      const run = new LogRun(copy, model.clone(), at)
      copy.crash('power')
      await reportHistory(copy, () => copy.clock.run(run.open({ gapsAllowed: true })))
      expect(run.model.lostBytes, `${path} ${at}`).toBeLessThanOrEqual(batchBytes)
      if (run.model.lostBytes > 0) lossy++
      copy.clock.crash()
    }
  }
  console.log(`${flips} flipped bits, ${lossy} of them in data`)
  expect(flips).toBeGreaterThan(100)
  expect(lossy).toBeGreaterThan(10)
})
