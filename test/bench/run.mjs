// npm run bench -- NAME [--key=value ...]: runs test/bench/NAME.mjs; figures as a table and a verdict on stdout, and as JSON in
// test/bench/results/NAME.json. Ends with 1 when a bar is missed.
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { judged, verdict } from './support/bars.mjs'
import { machine } from './support/machine.mjs'

const folder = new URL('.', import.meta.url)
const names = (await readdir(folder))
  .filter(file => file.endsWith('.mjs') && file !== 'run.mjs')
  .map(file => file.slice(0, -'.mjs'.length))
const [name, ...rest] = process.argv.slice(2)

if (name === undefined || !names.includes(name)) {
  process.stderr.write(`usage: npm run bench -- NAME [--key=value ...]\nbenchmarks: ${names.join(', ')}\n`)
  process.exit(64)
}

const options = Object.fromEntries(rest.map(text => /^--([^=]+)=(.*)$/.exec(text)?.slice(1) ?? [text, 'true']))
// timers of the engine keep no process alive
const alive = setInterval(() => {}, 60_000)
const { default: bench } = await import(new URL(`${name}.mjs`, folder).href)
const found = await bench(options)
clearInterval(alive)
const checks = judged(found.checks ?? [])
if (checks.length > 0) process.stdout.write(`${verdict(name, checks)}\n`)
const failed = found.failed === true || checks.some(({ held }) => !held)
const result = { bench: name, at: new Date().toISOString(), machine: machine(), ...found, checks, failed }
const results = new URL('results/', folder)
await mkdir(results, { recursive: true })
await writeFile(new URL(`${name}.json`, results), `${JSON.stringify(result, null, 2)}\n`)
process.exit(failed ? 1 : 0)
