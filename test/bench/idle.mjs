// Resident memory of a gateway with default settings that nobody talks to, ten seconds after its start. A smaps line says what of it is
// memory of its own and what is mapped files (the node program for the most part, shared with other node processes).
// Short: --runs=2. Options: --runs=5 --seconds=10 --set.KEY=VALUE
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway } from './support/gateway-process.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const barMiB = 90

const partOf = (pid, name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

const measure = async (idleMs, settings) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const gateway = await startGateway(directory, { settings })
  try {
    await new Promise(resolve => setTimeout(resolve, idleMs))
    return {
      ...memoryOf(gateway.pid),
      ownMiB: partOf(gateway.pid, 'RssAnon'),
      filesMiB: partOf(gateway.pid, 'RssFile'),
    }
  } finally {
    await gateway.end('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
}

export default async options => {
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    runs.push(await measure(Number(options.seconds ?? 10) * 1000, settings))
  }
  const of = key => median(runs.map(one => one[key]))
  const row = {
    runs: runs.length,
    'RSS MiB': of('rssMiB'),
    'own MiB': of('ownMiB'),
    'files MiB': of('filesMiB'),
    'peak MiB': of('peakMiB'),
    'bar MiB': barMiB,
  }
  process.stdout.write(`${table([row])}\n`)
  return { settings, row, runs, checks: [{ name: 'RSS MiB', value: row['RSS MiB'], atMost: barMiB }] }
}
