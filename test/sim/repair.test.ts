import { expect, it } from 'vitest'
import { carryOutRepair } from '../../src/storage/repair.ts'
import { isNothing, planRepair } from '../../src/storage/repair-plan.ts'
import type { CrashKind } from '../support/sim/disk.ts'
import { LogModel } from '../support/sim/log-model.ts'
import { LogRun } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { SimRandom } from '../support/sim/random.ts'
import { reportHistory } from '../support/sim/report.ts'
import { seedsOf } from './seeds.ts'

/** `log repair` under power cuts: whatever it was cut off at, it is repeated to its end, and costs nothing that could be read before. */

const directory = '/data'
const slotBytes = 64 * 1024
const batchBytes = 12 * 1024

/** A log that was stopped. */
const stoppedLog = async (seed: number): Promise<LogRun> => {
  const run = new LogRun(new SimMachine(seed), new LogModel(), seed)
  await run.machine.clock.run(
    (async () => {
      await run.open()
      await run.steps(120)
      await run.close()
    })(),
  )
  run.machine.crash('power')
  return run
}

/** Flips bits in meta, and in slots of their own: in a header, in a footer, in two batches or what is around them. Returns how many may cost a batch. */
const damage = ({ disk }: SimMachine, random: SimRandom): number => {
  const slots = disk.list(`${directory}/log`).map(name => `${directory}/log/${name}`)
  const slot = (): string => slots.splice(random.below(slots.length), 1)[0]!
  if (random.chance(0.5)) for (const position of [20, 4096 + 20]) disk.flipBit(`${directory}/meta`, position)
  else disk.flipBit(`${directory}/meta`, random.below(4096))
  disk.flipBit(slot(), random.below(64))
  disk.flipBit(slot(), slotBytes - 1 - random.below(64))
  for (let flips = 0; flips < 2; flips++) disk.flipBit(slot(), 4096 + random.below(slotBytes / 2), random.below(8))
  return 2
}

const repair = async (machine: SimMachine): Promise<void> => {
  const { platform } = machine
  const plan = await planRepair(platform, directory)
  const checkpoints = await platform.openCheckpointStore(`${directory}/views`, 1024 * 1024)
  await carryOutRepair({ ...platform, checkpoints }, directory, plan)
}

it.each(seedsOf(6))('is repeated after a crash at any of its writes (seed %i)', async seed => {
  const { machine, model } = await stoppedLog(seed)
  const random = new SimRandom(seed)
  const losses = damage(machine, random)
  const crashed: { readonly copy: SimMachine; readonly kind: CrashKind }[] = []
  machine.disk.onPoint = () => {
    crashed.push({ copy: machine.fork(random.below(2 ** 32)), kind: random.pick<CrashKind>(['power', 'kill']) })
  }
  await reportHistory(machine, () => machine.clock.run(repair(machine)))
  machine.disk.onPoint = undefined
  crashed.push({ copy: machine.fork(seed), kind: 'power' })
  for (const { copy, kind } of crashed) {
    copy.crash(kind)
    await reportHistory(copy, () => copy.clock.run(repair(copy)))
    // what a killed process wrote is safe from the next kill only
    copy.crash(kind)
    const left = await copy.clock.run(planRepair(copy.platform, directory))
    expect([left.found.state, left.headers, left.unnamed]).toEqual(['whole', [], []])
    const run = new LogRun(copy, model.clone(), seed)
    await reportHistory(copy, () => copy.clock.run(run.open({ gapsAllowed: true })))
    expect(run.model.lostBytes).toBeLessThanOrEqual(losses * batchBytes)
    copy.clock.crash()
  }
  expect(crashed.length).toBeGreaterThan(10)
  expect(isNothing(await machine.clock.run(planRepair(machine.platform, directory)))).toBe(true)
})
