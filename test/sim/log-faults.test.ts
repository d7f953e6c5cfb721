import { expect, it } from 'vitest'
import { LogModel } from '../support/sim/log-model.ts'
import { LogRun } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { SimRandom } from '../support/sim/random.ts'
import { reportHistory } from '../support/sim/report.ts'
import { seedsOf } from './seeds.ts'

const KiB = 1024
const slotsPath = '/data/log/'

const simulate = async (seed: number, body: (run: LogRun, machine: SimMachine) => Promise<void>): Promise<void> => {
  const machine = new SimMachine(seed)
  await reportHistory(machine, () => body(new LogRun(machine, new LogModel(), seed), machine))
}

it.each(seedsOf(6))('a commit that fails ends writing, not reading, and a restart goes on: seed %i', seed =>
  simulate(seed, async (run, machine) => {
    await machine.clock.run(run.open())
    await machine.clock.run(run.steps(60))
    machine.disk.faults.push({ path: slotsPath, operation: 'commit', code: 'EIO', times: 1 })
    await machine.clock.run(run.steps(40))
    expect(run.refused.get('storageFailed')).toBeGreaterThan(0)
    expect(run.log.writable).toBe(false)
    await machine.clock.run(run.model.checkReads(run.log))
    machine.crash(seed % 2 === 0 ? 'kill' : 'power')
    await machine.clock.run(run.open())
    expect(run.log.writable).toBe(true)
    await machine.clock.run(run.steps(30))
    machine.crash('power')
    await machine.clock.run(run.open())
  }),
)

it.each(seedsOf(6))('a full file system delays and refuses appends, and they go on when space returns: seed %i', seed =>
  simulate(seed, async (run, machine) => {
    machine.disk.spaceBytes = 3 * 64 * KiB + 20 * KiB
    await machine.clock.run(run.open())
    await machine.clock.run(run.steps(250))
    expect(run.refused.get('spaceAwaited'), 'appends wait').toBeGreaterThan(0)
    await machine.clock.advance(10_000)
    await machine.clock.run(run.steps(50))
    expect(run.refused.get('storageFull'), 'appends are refused').toBeGreaterThan(0)
    await machine.clock.run(run.model.checkReads(run.log))
    machine.disk.spaceBytes = Number.POSITIVE_INFINITY
    await machine.clock.advance(10_000)
    const refused = () => [run.refused.get('spaceAwaited'), run.refused.get('storageFull')]
    const before = refused()
    await machine.clock.run(run.steps(50))
    expect(refused(), 'appends go on').toEqual(before)
    await machine.clock.run(run.close())
    machine.crash('power')
    await machine.clock.run(run.open())
  }),
)

it.each(seedsOf(4))('a card that takes seconds for a sync loses nothing: seed %i', seed =>
  simulate(seed, async (run, machine) => {
    machine.io.speed = { readMs: 30, writeMs: 50, syncMs: 3000 }
    await machine.clock.run(run.open())
    await machine.clock.run(run.steps(120))
    machine.crash('power')
    await machine.clock.run(run.open())
  }),
)

it.each(seedsOf(30, [49, 106]))('a flipped bit loses one frame, and says so: seed %i', seed =>
  simulate(seed, async (run, machine) => {
    const random = new SimRandom(seed)
    await machine.clock.run(run.open())
    await machine.clock.run(run.steps(150))
    await machine.clock.run(run.close())
    machine.crash('power')
    if (random.chance(0.5)) machine.dropCheckpoints()
    const slots = machine.disk.list('/data/log').map(name => `${slotsPath}${name}`)
    const path = random.pick(slots)
    const position = 4 * KiB + random.below(56 * KiB)
    machine.disk.note(`flip a bit of ${path} ${position}`)
    machine.disk.flipBit(path, position, random.below(8))
    const damage = { gapsAllowed: true }
    await machine.clock.run(run.open(damage))
    expect(run.model.lostBytes, 'damage is confined to a batch').toBeLessThanOrEqual(12 * KiB)
    await machine.clock.run(run.steps(20))
    machine.crash('power')
    await machine.clock.run(run.open(damage))
  }),
)

it.each(seedsOf(10))('a stretch that cannot be read costs its segment, and the rest is served: seed %i', seed =>
  simulate(seed, async (run, machine) => {
    const random = new SimRandom(seed)
    await machine.clock.run(run.open())
    await machine.clock.run(run.steps(200))
    await machine.clock.run(run.close())
    machine.crash('power')
    if (random.chance(0.5)) machine.dropCheckpoints()
    const name = random.pick(machine.disk.list('/data/log').slice(0, 3))
    const from = 4 * KiB * (1 + random.below(10))
    machine.disk.note(`from now on ${name} cannot be read at ${from}`)
    machine.disk.faults.push({ path: `${slotsPath}${name}`, operation: 'read', code: 'EIO', from, to: from + 4 * KiB })
    const damage = { gapsAllowed: true }
    await machine.clock.run(run.open(damage))
    expect(run.model.lostBytes, 'damage is confined to a segment').toBeLessThanOrEqual(64 * KiB)
    await machine.clock.run(run.steps(20))
  }),
)
