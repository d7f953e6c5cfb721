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

/** Opens a copy of the machine with one bit changed; bytes of values that were lost. */
const lostWith = async (machine: SimMachine, model: LogModel, seed: number, flip: (copy: SimMachine) => void) => {
  const copy = machine.fork(seed)
  flip(copy)
  const run = new LogRun(copy, model.clone(), seed)
  copy.crash('power')
  await reportHistory(copy, () => copy.clock.run(run.open({ gapsAllowed: true })))
  copy.clock.crash()
  return run.model.lostBytes
}

it('a flipped bit anywhere in meta costs nothing: there are two copies', async () => {
  const { machine, model } = await smallLog()
  const { length } = machine.disk.content('/data/meta')
  expect(length).toBe(8192)
  // every bit of what stands at the beginning of both copies, some of the rest
  for (let at = 0, flips = 0; at < length; at += at % 4096 < 80 ? 1 : 97) {
    for (let bit = 0; bit < (at % 4096 < 8 ? 8 : 1); bit++, flips++) {
      const flip = (copy: SimMachine): void => copy.disk.flipBit('/data/meta', at, (bit + at) % 8)
      expect(await lostWith(machine, model, flips, flip), `meta ${at}`).toBe(0)
    }
  }
})

it('a flipped bit anywhere in a checkpoint costs nothing: it is only a cache', async () => {
  const { machine, model } = await smallLog()
  let flips = 0
  for (const [directory, key, { length }] of [...machine.checkpointValues()]) {
    for (let at = 0; at < length; at += Math.min(stride, 17)) {
      const bit = flips++ % 8
      const flip = (copy: SimMachine): void => copy.flipCheckpointBit(directory, key, at, bit)
      expect(await lostWith(machine, model, flips, flip), `${key} ${at}`).toBe(0)
    }
  }
  console.log(`${flips} flipped bits in checkpoints`)
  expect(flips).toBeGreaterThan(100)
})

it('a flipped bit anywhere in a slot is seen and costs a batch at most', async () => {
  const { machine, model } = await smallLog()
  let flips = 0
  let lossy = 0
  for (const name of machine.disk.list('/data/log')) {
    const path = `/data/log/${name}`
    for (let at = flips % stride; at < Math.min(slotBytes, machine.disk.content(path).length); at += stride) {
      const bit = flips++ % 8
      const lostBytes = await lostWith(machine, model, at, copy => {
        copy.disk.note(`flip bit ${bit} of ${path} ${at}`)
        copy.disk.flipBit(path, at, bit)
      })
      expect(lostBytes, `${path} ${at}`).toBeLessThanOrEqual(batchBytes)
      if (lostBytes > 0) lossy++
    }
  }
  console.log(`${flips} flipped bits, ${lossy} of them in data`)
  expect(flips).toBeGreaterThan(100)
  expect(lossy).toBeGreaterThan(10)
})
