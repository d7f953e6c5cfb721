// npm run bench -- NAME [--key=value ...]: runs test/bench/NAME.mjs; figures as a table on stdout and as JSON in test/bench/results/NAME.json.
import { mkdir, readdir, writeFile } from 'node:fs/promises'
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
const result = { bench: name, at: new Date().toISOString(), machine: machine(), ...(await bench(options)) }
clearInterval(alive)
const results = new URL('results/', folder)
await mkdir(results, { recursive: true })
await writeFile(new URL(`${name}.json`, results), `${JSON.stringify(result, null, 2)}\n`)
process.exit(result.failed === true ? 1 : 0)
