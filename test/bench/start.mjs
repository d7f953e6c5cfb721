// Time from making the process to `brooklet ready`: with an empty directory, after kill -9 under load with 1 GiB stored, and after a clean
// stop with the same. Before each start after kill -9 devices publish again, so that there is a tail behind the newest checkpoint.
// Files are in the page cache: what the device adds is not measured here.
// Options: --runs=5 --gigabytes=1 --directory=/path --core=0 (none: not pinned)
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startGateway } from './support/gateway-process.mjs'
import { median, table } from './support/machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/publish-load.mjs', import.meta.url))
const barMs = 1000

const storedBytes = directory =>
  readdirSync(join(directory, 'log')).reduce(
    (sum, name) => sum + statSync(join(directory, 'log', name)).blocks * 512,
    0,
  )

const publish = async (gateway, runMs) => {
  const load = { port: gateway.mqttPort, connections: 20, inFlight: 20, payloadBytes: 512, warmUpMs: 0, runMs }
  await run(process.execPath, [loadFile, JSON.stringify(load)])
}

/** Publishes until so much is stored. */
const fill = async (directory, bytes, options) => {
  const gateway = await startGateway(directory, options)
  while (storedBytes(directory) < bytes) await publish(gateway, 2000)
  await gateway.end('SIGKILL')
}

/** Kills the gateway in the middle of a load. */
const killUnderLoad = async gateway => {
  const load = publish(gateway, 60_000).catch(() => undefined)
  await new Promise(resolve => setTimeout(resolve, 1500))
  await gateway.end('SIGKILL')
  await load
}

export default async options => {
  const parent = options.directory ?? tmpdir()
  const runs = Number(options.runs ?? 5)
  const gigabytes = Number(options.gigabytes ?? 1)
  const started = {
    core: options.core,
    settings: { 'disk.budget': `${2 * gigabytes}GiB`, 'retention.ms': '-1', 'retention.bytes': '-1' },
  }
  const times = { empty: [], 'after kill -9': [], 'after a clean stop': [] }
  for (let round = 0; round < runs; round++) {
    const directory = mkdtempSync(join(parent, 'bench-'))
    const gateway = await startGateway(directory, { core: options.core })
    times.empty.push(gateway.readyMs)
    await gateway.end('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
  const directory = mkdtempSync(join(parent, 'bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  await fill(directory, gigabytes * 2 ** 30, started)
  for (let round = 0; round < runs; round++) {
    const gateway = await startGateway(directory, started)
    times['after kill -9'].push(gateway.readyMs)
    await killUnderLoad(gateway)
  }
  await (await startGateway(directory, started)).end('SIGTERM')
  for (let round = 0; round < runs; round++) {
    const gateway = await startGateway(directory, started)
    times['after a clean stop'].push(gateway.readyMs)
    await gateway.end('SIGTERM')
  }
  const storedMiB = Math.round(storedBytes(directory) / 2 ** 20)
  const rows = Object.entries(times).map(([state, found]) => ({
    start: state,
    runs: found.length,
    'stored MiB': state === 'empty' ? 0 : storedMiB,
    'ready ms': Math.round(median(found)),
    'slowest ms': Math.round(Math.max(...found)),
    'bar ms': barMs,
  }))
  process.stdout.write(`${table(rows)}\n`)
  return { rows, times, failed: rows.some(row => row['ready ms'] >= barMs) }
}
