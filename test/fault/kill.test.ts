import { expect, it } from 'vitest'
import { surviveCrashes } from './crash-loop.ts'

const cycles = Number(process.env['KILL_CYCLES'] ?? 10)
const seed = Number(process.env['SEED'] ?? 1)
const timeout = 60_000 + cycles * 20_000

it(`keeps every promise through ${cycles} kill -9 under load`, { timeout }, async () => {
  await surviveCrashes({ seed, cycles, isFull: false, crash: gateway => gateway.kill() })
})

it(`keeps every promise through ${cycles} kill -9 while data is evicted, cleaned and compacted`, {
  timeout,
}, async () => {
  const report = await surviveCrashes({ seed, cycles, isFull: true, crash: gateway => gateway.kill() })
  console.log(JSON.stringify(report))
  expect(report.evictedRecords).toBeGreaterThan(0)
  expect(report.cleanings).toBeGreaterThan(0)
  expect(report.compactedRecords).toBeGreaterThan(0)
})
