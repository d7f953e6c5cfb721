import { expect, it } from 'vitest'
import { reportHistory } from '../support/sim/report.ts'
import { UplinkRun, type UplinkRunOptions } from '../support/sim/uplink-run.ts'
import { seedsOf } from './seeds.ts'

const simulate = async (seed: number, options: UplinkRunOptions = {}): Promise<UplinkRun> => {
  const run = new UplinkRun(seed, options)
  await reportHistory(run.machine, () => run.run())
  return run
}

it.each(seedsOf(20))('each stored record is upstream once and in order, whatever fails: seed %i', async seed => {
  await simulate(seed)
})

it.each(seedsOf(12))('so it is without transactions: seed %i', async seed => {
  await simulate(seed, { isWithoutTransactions: true })
})

it.each(seedsOf(12))('and where rules send the newest first, or leave out what is old: seed %i', async seed => {
  await simulate(seed, { isScheduled: true })
})

it.each(seedsOf(8))('and so without transactions: seed %i', async seed => {
  await simulate(seed, { isScheduled: true, isWithoutTransactions: true })
})

it.each(seedsOf(6))('so it is when the log is forked in between: seed %i', async seed => {
  await simulate(seed, { isForked: true })
})

it.each(seedsOf(6))('so it is when it is forked without transactions: seed %i', async seed => {
  await simulate(seed, { isForked: true, isWithoutTransactions: true })
})

it.each(seedsOf(8))('so it is when the right to transactions comes and goes: seed %i', async seed => {
  await simulate(seed, { isWithoutTransactions: 'sometimes' })
})

it.each(seedsOf(8))(
  'so it is when settings change between lives, and topics and the clock within them: seed %i',
  async seed => {
    await simulate(seed, { isChanging: true, isWithoutTransactions: seed % 3 === 0 })
  },
)

it('an end of a transaction that never arrived is settled by the next session, not by its timeout', async () => {
  const pausesMs: number[] = []
  for (let seed = 1; seed <= 5; seed++) {
    const run = new UplinkRun(seed)
    let ends = 0
    let cutAtMs: number | undefined
    run.central.fate = api => {
      if (api !== 'EndTxn') return 'served'
      const { nowMs } = run.machine.clock
      if (cutAtMs !== undefined) pausesMs.push(nowMs - cutAtMs)
      cutAtMs = ++ends % 10 === 0 ? nowMs : undefined
      return cutAtMs === undefined ? 'served' : 'cut'
    }
    await run.run()
  }
  const median = pausesMs.sort((one, other) => one - other)[pausesMs.length >> 1]
  // virtual time; the timeout of a transaction is 20 s
  expect(median).toBeLessThan(2_000)
})

it('the canary: positions that count whatever becomes of their transaction are found', async () => {
  const found: string[] = []
  for (let seed = 1; seed <= 30 && found.length === 0; seed++) {
    await simulate(seed, { bugs: { countsAtOnce: '__brooklet_positions' } }).catch(error => found.push(String(error)))
  }
  // of records that nobody sends any more the end is waited for in vain
  expect(found[0]).toMatch(
    /stands upstream where|upstream, \d+ here|of \d+ upstream|not everything is upstream; the uplink is connected/,
  )
})
