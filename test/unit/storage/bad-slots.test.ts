import { expect, it } from 'vitest'
import type { CrashKind } from '../../support/sim/disk.ts'
import { LogModel } from '../../support/sim/log-model.ts'
import { LogRun } from '../../support/sim/log-run.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { reportHistory } from '../../support/sim/report.ts'

const slotsDirectory = '/data/log'

/** A log whose active slot takes no write any more from some place on, and has said so. */
const broken = async (): Promise<{ machine: SimMachine; run: LogRun; path: string }> => {
  const machine = new SimMachine(5)
  const run = new LogRun(machine, new LogModel(), 5)
  let path = ''
  await reportHistory(machine, () =>
    machine.clock.run(
      (async () => {
        await run.open()
        await run.steps(60)
        await run.settle()
        const { newest } = machine.disk
        path = newest!.path
        for (const operation of ['commit', 'write'] as const) {
          machine.disk.faults.push({ path, operation, code: 'EIO', from: newest!.to })
        }
        await run.steps(30)
        expect(run.log.writable).toBe(false)
      })(),
    ),
  )
  return { machine, run, path }
}

it.each<CrashKind>(['kill', 'power', 'failed'])(
  'a slot that refuses writes in its middle ends writing once: the next start goes on elsewhere and never comes back to it (%s)',
  async kind => {
    const { machine, run, path } = await broken()
    const bad = path.replace('.slot', '.bad')
    expect(machine.disk.has(bad)).toBe(true)
    // over several laps of the log
    for (let start = 0; start < 4; start++) {
      machine.crash(kind)
      if (start === 2) machine.dropCheckpoints()
      await reportHistory(machine, () =>
        machine.clock.run(
          (async () => {
            await run.open()
            await run.steps(200)
            await run.settle()
            expect(run.log.writable).toBe(true)
          })(),
        ),
      )
    }
    expect(machine.disk.has(path), 'nothing is needed in it any more: it holds its blocks under another name').toBe(
      false,
    )
    expect(machine.disk.content(bad).length).toBe(64 * 1024)
    expect(machine.disk.list(slotsDirectory).length).toBeLessThanOrEqual(12)
    expect(run.metrics.text()).toContain('brooklet_storage_slots{kind="bad"} 1')
  },
)

it('a start that cannot go on in the newest slot goes on in another one', async () => {
  const { machine, run, path } = await broken()
  // the power went before the slot could be remembered
  machine.disk.remove(path.replace('.slot', '.bad'))
  machine.crash('power')
  for (let start = 0; start < 2; start++) {
    await reportHistory(machine, () => machine.clock.run(run.open()))
    expect(run.log.writable).toBe(true)
    expect(machine.disk.has(path.replace('.slot', '.bad'))).toBe(true)
    machine.crash('power')
  }
})
