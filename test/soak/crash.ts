import { CrashReport, crashEverywhere } from '../support/sim/crash-points.ts'
import { relaxes, scenarioOf, soakPlan } from '../support/sim/scenarios.ts'

const wanted = Number(process.env['COUNT'] ?? 100_000)
const firstSeed = Number(process.env['SEED'] ?? 1)
const lastSeed =
  process.env['SEED'] === undefined || process.env['COUNT'] !== undefined ? Number.POSITIVE_INFINITY : firstSeed

const isRelaxed = process.env['RELAXED'] === 'true'
const nameOf = (seed: number): string => (isRelaxed ? 'relaxes' : scenarioOf(seed))

const seconds = (): number => process.uptime()
const total = new CrashReport()
let failures = 0
let seed = firstSeed
let toldAt = 0

const failed = (error: unknown): void => {
  failures++
  console.log(`FAILED: ${nameOf(seed)}: ${(error as Error).message}`)
  console.log(`  again: SEED=${seed} npm run soak -- ${isRelaxed ? 'relaxed' : 'crash'}`)
}

// what is thrown past every promise that somebody waits for
process.on('unhandledRejection', failed)
process.on('uncaughtException', failed)

for (; total.crashes + total.recoveryCrashes < wanted && seed <= lastSeed; seed++) {
  try {
    total.add(await crashEverywhere(isRelaxed ? soakPlan(seed, relaxes) : soakPlan(seed)))
  } catch (error) {
    failed(error)
  }
  if (seconds() - toldAt < 30) continue
  toldAt = seconds()
  const done = total.crashes + total.recoveryCrashes
  console.log(`${done} crash points, seed ${seed}, ${Math.round(toldAt)} s, ${Math.round(done / toldAt)} a second`)
}
console.log(JSON.stringify(total))
const done = total.crashes + total.recoveryCrashes
console.log(`${done} crash points in seeds ${firstSeed} to ${seed - 1}: ${failures} failed, ${Math.round(seconds())} s`)
process.exitCode = failures === 0 ? 0 : 1
