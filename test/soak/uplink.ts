import { reportHistory } from '../support/sim/report.ts'
import { UplinkRun } from '../support/sim/uplink-run.ts'

/**
 * Seeds of the simulation of the uplink, one after the other: COUNT of them from SEED on, with WITHOUT=transactions on a cluster that has none, with
 * FORKED=yes of a log that is forked between its lives. Each failure is printed with its seed.
 */

const count = Number(process.env['COUNT'] ?? 5000)
const first = Number(process.env['SEED'] ?? 1)
const isWithoutTransactions = process.env['WITHOUT'] === 'transactions'
const isForked = process.env['FORKED'] === 'yes'
const startMs = Date.now()
let failures = 0
let records = 0

for (let seed = first; seed < first + count; seed++) {
  const run = new UplinkRun(seed, { isWithoutTransactions, isForked })
  try {
    await reportHistory(run.machine, () => run.run())
    records += (await run.upstream()).reduce((sum, { length }) => sum + length, 0)
  } catch (error) {
    failures++
    console.log(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
const seconds = (Date.now() - startMs) / 1000
console.log(`${count} seeds from ${first}, ${records} records upstream, ${failures} failures, ${seconds.toFixed(0)} s`)
process.exitCode = failures === 0 ? 0 : 1
