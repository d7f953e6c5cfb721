// Produce and fetch through librdkafka: 1 KiB records, batches of 64 KiB, acks=all, 4 partitions; broker on core 0, load on core 1. Fetches read
// everything again from the start: the newest part is in memory, most is not. Every record is read back and counted; a run whose count or
// order differs is void. Needs Python's confluent-kafka; PYTHON names the interpreter that has it.
// Options: --runs=5 --records=300000 --directory=/path --set.KEY=VALUE
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startGateway } from './support/gateway-process.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/librdkafka-load.py', import.meta.url))
const python = process.env['PYTHON'] ?? 'python3'
const brokerCore = '0'
const loadCore = '1'
const load = { topic: 'bench', partitions: 4, recordBytes: 1024, batchBytes: 64 * 1024 }

const isInstalled = () => {
  try {
    execFileSync(python, ['-c', 'import confluent_kafka'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const librdkafka = async (mode, gateway, count) => {
  const options = { mode, brokers: gateway.kafka, count, ...load }
  const { stdout } = await run('taskset', ['-c', loadCore, python, loadFile, JSON.stringify(options)])
  return JSON.parse(stdout)
}

const measure = async (parent, count, settings) => {
  const directory = mkdtempSync(join(parent, 'bench-'))
  const gateway = await startGateway(directory, { core: brokerCore, settings })
  try {
    const produced = await librdkafka('produce', gateway, count)
    // one record more was sent before the clock started
    const fetched = await librdkafka('fetch', gateway, count + 1)
    const isWhole = produced.failed === 0 && fetched.failed === 0 && fetched.records === count + 1
    return {
      produceMBs: (produced.records * load.recordBytes) / produced.seconds / 1e6,
      fetchMBs: (fetched.timed * load.recordBytes) / fetched.seconds / 1e6,
      produceLoadCore: produced.loadCore,
      fetchLoadCore: fetched.loadCore,
      librdkafka: produced.librdkafka,
      ...memoryOf(gateway.pid),
      ...(isWhole ? {} : { void: `${JSON.stringify(produced)} ${JSON.stringify(fetched)}` }),
    }
  } finally {
    await gateway.end('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
}

export default async options => {
  if (!isInstalled()) {
    process.stderr.write(`skipped: bench kafka needs confluent-kafka: ${python} -m pip install confluent-kafka\n`)
    return { skipped: 'confluent-kafka is not installed' }
  }
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    const figures = await measure(options.directory ?? tmpdir(), Number(options.records ?? 300_000), settings)
    if (figures.void !== undefined) process.stderr.write(`VOID: ${figures.void}\n`)
    runs.push(figures)
  }
  const valid = runs.filter(one => one.void === undefined)
  const of = key => median(valid.map(one => one[key])) ?? Number.NaN
  const row = {
    runs: valid.length,
    'produce MB/s': of('produceMBs'),
    'fetch MB/s': of('fetchMBs'),
    'load core, produce': of('produceLoadCore'),
    'load core, fetch': of('fetchLoadCore'),
    'RSS MiB': of('rssMiB'),
    'peak MiB': of('peakMiB'),
  }
  process.stdout.write(`${table([row])}\n`)
  return { load, settings, row, runs, failed: valid.length < runs.length }
}
