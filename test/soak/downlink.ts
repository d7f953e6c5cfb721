import { DownlinkRun } from '../support/sim/downlink-run.ts'
import { reportHistory } from '../support/sim/report.ts'

/** Seeds of the simulation of the downlink, one after the other: COUNT of them from SEED on. Each failure is printed with its seed. */

const count = Number(process.env['COUNT'] ?? 5000)
const first = Number(process.env['SEED'] ?? 1)
const startMs = Date.now()
let failures = 0
let records = 0

for (let seed = first; seed < first + count; seed++) {
  const run = new DownlinkRun(seed)
  try {
    await reportHistory(run.machine, () => run.run())
    records += run.taken
  } catch (error) {
    failures++
    console.log(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
const seconds = (Date.now() - startMs) / 1000
console.log(`${count} seeds from ${first}, ${records} commands, ${failures} failures, ${seconds.toFixed(0)} s`)
process.exitCode = failures === 0 ? 0 : 1
