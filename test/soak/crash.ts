import { CrashReport, crashEverywhere } from '../support/sim/crash-points.ts'
import { scenarioOf, scenarios } from '../support/sim/scenarios.ts'

const wanted = Number(process.env['COUNT'] ?? 100_000)
const firstSeed = Number(process.env['SEED'] ?? 1)
const lastSeed =
  process.env['SEED'] === undefined || process.env['COUNT'] !== undefined ? Number.POSITIVE_INFINITY : firstSeed

const seconds = (): number => process.uptime()
const total = new CrashReport()
let failures = 0
let seed = firstSeed
let toldAt = 0

for (; total.crashes + total.recoveryCrashes < wanted && seed <= lastSeed; seed++) {
  const name = scenarioOf(seed)
  const scenario = scenarios[name]
  // a run of many steps has many points: about as many crashes of each seed
  const share = Math.min(1, 20 / scenario.steps)
  try {
    total.add(
      await crashEverywhere({ ...scenario, seed, crashesPerPoint: 2, share, mostPoints: 150, recoveryShare: 0.01 }),
    )
  } catch (error) {
    failures++
    console.log(`FAILED: seed ${seed} (${name}): ${(error as Error).message}`)
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
