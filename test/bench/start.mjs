// Time from making the process to `brooklet ready`: with an empty directory, after kill -9 under load and after a clean stop, with 100 MiB and with
// 1 GiB (--gigabytes) stored in a log that is full; the full one within 1.5 times of the other. Before each start after kill -9 devices publish again, so that there is a tail behind the newest checkpoint.
// Files are in the page cache: what the device adds is not measured here.
// Last, recovery by the bytes since the checkpoint, on the storage engine alone. Short: --runs=2 --gigabytes=0.4.
// Options: --runs=5 --gigabytes=1 --directory=/path --core=0 (none: not pinned)
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { enginePlatform, loadEngine } from './support/engine.mjs'
import { startGateway } from './support/gateway-process.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/publish-load.mjs', import.meta.url))
const barMs = 1000
/** A full log starts within that of a small one. */
const fullOverSmall = 1.5

const storedBytes = directory =>
  readdirSync(join(directory, 'log')).reduce(
    (sum, name) => sum + statSync(join(directory, 'log', name)).blocks * 512,
    0,
  )

const publish = async (gateway, runMs, payloadBytes = 512) => {
  const load = { port: gateway.mqttPort, connections: 20, inFlight: 20, payloadBytes, warmUpMs: 0, runMs }
  await run(process.execPath, [loadFile, JSON.stringify(load)])
}

/** Publishes until so much is stored. */
const fill = async (directory, bytes, options) => {
  const gateway = await startGateway(directory, options)
  while (storedBytes(directory) < bytes) await publish(gateway, Math.min(2000, bytes / 2e5), 8 * 1024)
  await gateway.end('SIGKILL')
}

/** Kills the gateway in the middle of a load. */
const killUnderLoad = async gateway => {
  const load = publish(gateway, 60_000).catch(() => undefined)
  await new Promise(resolve => setTimeout(resolve, 1500))
  await gateway.end('SIGKILL')
  await load
}

const mebibyte = 2 ** 20

/** Times of starts after kill -9 under load and after clean stops, on a log that was filled to `bytes`. */
const measure = async (parent, bytes, runs, core) => {
  const settings = {
    // full means that eviction is about to begin, at 80 % of the budget
    'disk.budget': `${Math.max(256, Math.round((bytes * 1.5) / mebibyte))}MiB`,
    'retention.ms': '-1',
    'retention.bytes': '-1',
  }
  const started = { core, settings }
  const directory = mkdtempSync(join(parent, 'bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  await fill(directory, bytes, started)
  const times = { killed: [], stopped: [] }
  for (let round = 0; round < runs; round++) {
    const gateway = await startGateway(directory, started)
    times.killed.push(gateway.readyMs)
    await killUnderLoad(gateway)
  }
  await (await startGateway(directory, started)).end('SIGTERM')
  let memory
  for (let round = 0; round < runs; round++) {
    const gateway = await startGateway(directory, started)
    times.stopped.push(gateway.readyMs)
    memory = memoryOf(gateway.pid)
    await gateway.end('SIGTERM')
  }
  const storedMiB = Math.round(storedBytes(directory) / mebibyte)
  rmSync(directory, { recursive: true, force: true })
  return { times, storedMiB, memory }
}

const row = (state, storedMiB, found, barMs) => ({
  start: state,
  runs: found.length,
  'stored MiB': storedMiB,
  'ready ms': Math.round(median(found)),
  'slowest ms': Math.round(Math.max(...found)),
  'bar ms': barMs,
})

/** Recovery of the engine alone with so much log behind its checkpoint, which is more than the 4 MiB that it ever is. */
const measureRecovery = async (parent, runs) => {
  const engine = await loadEngine()
  const rows = []
  for (const megabytes of [64, 128, 256]) {
    const directory = mkdtempSync(join(parent, 'bench-'))
    const platform = enginePlatform(engine)
    const options = engineOptions(engine, directory, megabytes)
    const log = await engine.openCommitLog(platform, options)
    // the checkpoint of the start stays the newest: without one, footers would do
    while (platform.checkpoints.get('log/state') === undefined) await new Promise(resolve => setTimeout(resolve, 10))
    platform.checkpoints.write = async () => {}
    const batch = engine.encodeBatch(
      Array.from({ length: 30 }, () => ({ timestampMs: 0, key: null, value: Buffer.alloc(120, 120) })),
    )
    for (let partition = 64; partition < 128; partition++) log.openPartition(partition)
    for (let bytes = 0; bytes < megabytes * mebibyte; bytes += 64 * batch.length) {
      let group
      for (let partition = 64; partition < 128; partition++) group = log.append([{ partition, batch }]).group
      await log.whenDurable(group)
    }
    await log.close()
    const times = []
    // the first one warms up
    for (let round = 0; round <= runs; round++) {
      const startedMs = performance.now()
      const { pool } = await engine.recoverLog(platform, engineOptions(engine, directory, megabytes))
      times.push(performance.now() - startedMs)
      await pool.close()
    }
    rmSync(directory, { recursive: true, force: true })
    // the fastest: what else the machine does only adds
    const ms = Math.min(...times.slice(1))
    rows.push({ 'MiB since the checkpoint': megabytes, runs, 'fastest ms': Math.round(ms), 'ms/MiB': ms / megabytes })
  }
  return rows
}

const engineOptions = (engine, directory, megabytes) => ({
  directory,
  budgetBytes: (megabytes + 192) * mebibyte,
  slotBytes: 16 * mebibyte,
  reserve: false,
  commitMaxBytes: mebibyte / 2,
  maxMessageBytes: mebibyte,
  align: 'auto',
  retention: { ms: -1, bytes: -1 },
  memory: new engine.MemoryBudget(160 * mebibyte),
  metrics: new engine.Metrics(),
})

export default async options => {
  const parent = options.directory ?? tmpdir()
  const runs = Number(options.runs ?? 5)
  const { core } = options
  const empty = []
  for (let round = 0; round < runs; round++) {
    const directory = mkdtempSync(join(parent, 'bench-'))
    const gateway = await startGateway(directory, { core })
    empty.push(gateway.readyMs)
    await gateway.end('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
  const small = await measure(parent, 100 * mebibyte, runs, core)
  const large = await measure(parent, Number(options.gigabytes ?? 1) * 1024 * mebibyte, runs, core)
  const largestMs = times => Math.round(median(times) * fullOverSmall)
  const rows = [
    row('empty', 0, empty, barMs),
    row('after kill -9', small.storedMiB, small.times.killed, barMs),
    row('after kill -9', large.storedMiB, large.times.killed, Math.min(barMs, largestMs(small.times.killed))),
    row('after a clean stop', small.storedMiB, small.times.stopped, barMs),
    row('after a clean stop', large.storedMiB, large.times.stopped, Math.min(barMs, largestMs(small.times.stopped))),
  ]
  process.stdout.write(`${table(rows)}\n`)
  process.stdout.write(
    `RSS after a clean stop: ${Math.round(small.memory.rssMiB)} and ${Math.round(large.memory.rssMiB)} MiB\n`,
  )
  const recovered = await measureRecovery(parent, runs)
  process.stdout.write(`${table(recovered)}\n`)
  const checks = rows.map(one => ({
    name: `${one.start}, ${one['stored MiB']} MiB: ready ms`,
    value: one['ready ms'],
    atMost: one['bar ms'],
  }))
  const [least, most] = [recovered[0], recovered.at(-1)].map(one => one['ms/MiB'])
  checks.push({
    name: 'recovery, time for a byte: the most over the fewest since the checkpoint',
    value: most / least,
    atMost: 1.5,
  })
  return { rows, recovered, empty, small, large, checks }
}
