// Views rebuilt from nothing: records a second that a start replays when `views/` is gone, by view and together. The log is in the page
// cache. Bar: 500,000 records/s together. Options: --runs=5 --records=500000 (of each view) --batch=10 --directory=/path
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { median, table } from './support/machine.mjs'

const run = promisify(execFile)
const file = path => fileURLToPath(new URL(path, import.meta.url))
const bar = 500_000

/** The program, bundled beside what it loads as files. */
const bundled = async () => {
  const folder = join(file('../../node_modules/.cache'), `bench-rebuild-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const program = join(folder, 'view-rebuild.mjs')
  const entryPoints = [file('./support/view-rebuild.ts')]
  await build({ entryPoints, outfile: program, bundle: true, platform: 'node', format: 'esm', packages: 'external' })
  for (const name of ['commit-thread.mjs', 'checkpoint-trial.mjs']) {
    copyFileSync(file(`../../src/platform/node/${name}`), join(folder, name))
  }
  return program
}

export default async options => {
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const program = await bundled()
  const nodeArguments = (process.env['BENCH_NODE_ARGUMENTS'] ?? '').split(' ').filter(text => text !== '')
  const act = async mode => {
    const args = [mode, directory, options.records ?? '500000', options.batch ?? '10']
    const { stdout } = await run(process.execPath, [...nodeArguments, program, ...args])
    return JSON.parse(stdout)
  }
  await act('fill')
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    rmSync(join(directory, 'views'), { recursive: true, force: true })
    runs.push(await act('rebuild'))
  }
  const rate = median(runs.map(one => one.rate))
  const rows = Object.keys(runs[0].rates).map(view => ({
    view,
    runs: runs.length,
    'records/s': median(runs.map(one => one.rates[view])),
  }))
  rows.push({ view: 'together', runs: runs.length, 'records/s': rate })
  process.stdout.write(`${table(rows)}\n`)
  return { rows, runs, checks: [{ name: 'records/s, all views together', value: rate, atLeast: bar }] }
}
