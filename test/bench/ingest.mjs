// MQTT QoS 1 publishes, 64 B, 50 connections x 20 in flight, broker on core 0, load on core 1, default settings. Beside it, where installed,
// Mosquitto (nothing stored) and NATS JetStream (a file stream on the subjects, synced every two minutes). Brokers take turns, so
// that what else the machine does hits all of them. A run counts only if every acknowledged record is read back.
// Options: --runs=5 --seconds=4 --connections=50 --in-flight=20 --payload=64 --only=brooklet,nats --version=5 --properties --directory=/path --set.KEY=VALUE
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brokers } from './support/brokers.mjs'
import { median, memoryOf, table, writtenBy, writtenToDevice } from './support/machine.mjs'
import { readBack } from './support/read-back.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/publish-load.mjs', import.meta.url))
const loadCore = '1'
const bar = 1.5

const publish = async (port, load) => {
  const { stdout } = await run('taskset', [
    '-c',
    loadCore,
    process.execPath,
    loadFile,
    JSON.stringify({ port, ...load }),
  ])
  return JSON.parse(stdout)
}

/** Undefined when all is there, else what is not. At least every acknowledged record must be; at most every one that was sent. */
const missing = async (name, broker, { acked, sent }) => {
  if (name === 'mosquitto') return undefined
  if (name === 'nats') {
    const messages = await broker.messages()
    return messages >= acked && messages <= sent ? undefined : `${acked} acknowledged, ${messages} stored`
  }
  const counts = await readBack(broker.kafka, 'bench')
  const stored = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return stored >= acked && stored <= sent
    ? undefined
    : `${acked} acknowledged, ${stored} read back: ${JSON.stringify(counts)}`
}

const measure = async (name, directory, load, settings) => {
  const broker = await brokers[name].start(directory, settings)
  try {
    const before = { process: writtenBy(broker.pid), device: writtenToDevice(broker.directory) }
    const figures = await publish(broker.port, load)
    const processBytes = writtenBy(broker.pid) - before.process
    const deviceBytes = writtenToDevice(broker.directory) - before.device
    const memory = memoryOf(broker.pid)
    const lost = await missing(name, broker, figures)
    return {
      name,
      ...figures,
      ...memory,
      bytesPerEvent: processBytes / figures.acked,
      deviceBytesPerEvent: deviceBytes / figures.acked,
      ...(lost === undefined ? {} : { void: lost }),
    }
  } finally {
    await broker.stop()
  }
}

const summary = (name, runs) => {
  const valid = runs.filter(one => one.name === name && one.void === undefined)
  const of = key => median(valid.map(one => one[key]))
  if (valid.length === 0) return { broker: name, runs: 0, 'publishes/s': Number.NaN }
  return {
    broker: name,
    runs: valid.length,
    'publishes/s': of('rate'),
    'p50 ms': of('p50Ms'),
    'p99 ms': of('p99Ms'),
    'RSS MiB': Math.round(of('rssMiB')),
    'written B/event': of('bytesPerEvent'),
    'device B/event': of('deviceBytesPerEvent'),
  }
}

const lost = runs => runs.filter(one => one.void !== undefined).length

export default async options => {
  const load = {
    connections: Number(options.connections ?? 50),
    inFlight: Number(options['in-flight'] ?? 20),
    payloadBytes: Number(options.payload ?? 64),
    version: Number(options.version ?? 4),
    properties: options.properties === 'true',
    qos: Number(options.qos ?? 1),
    retain: options.retain === 'true',
    runMs: Number(options.seconds ?? 4) * 1000,
  }
  const directory = options.directory ?? tmpdir()
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const wanted = options.only?.split(',') ?? Object.keys(brokers)
  const names = wanted.filter(name => brokers[name].isInstalled())
  for (const name of wanted) if (!names.includes(name)) process.stderr.write(`${name} is not installed, left out\n`)
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    for (const name of names) {
      const figures = await measure(name, directory, load, name === 'brooklet' ? settings : {})
      runs.push(figures)
      process.stderr.write(
        `${name}: ${figures.rate.toLocaleString('en')}/s${figures.void === undefined ? '' : ` VOID: ${figures.void}`}\n`,
      )
    }
  }
  const rows = names.map(name => summary(name, runs))
  const rateOf = name => rows.find(row => row.broker === name)?.['publishes/s'] ?? Number.NaN
  const ratios = {
    overNats: rateOf('brooklet') / rateOf('nats'),
    overMosquitto: rateOf('brooklet') / rateOf('mosquitto'),
  }
  process.stdout.write(`${table(rows)}\n`)
  for (const [name, ratio] of Object.entries(ratios)) {
    if (!Number.isNaN(ratio)) process.stdout.write(`${name}: ${ratio.toFixed(2)}\n`)
  }
  const checks = [{ name: 'runs in which an acknowledged record is missing', value: lost(runs), atMost: 0 }]
  if (!Number.isNaN(ratios.overNats))
    checks.push({ name: 'rate over that of NATS', value: ratios.overNats, atLeast: bar })
  return { load, settings, rows, ratios, runs, checks }
}
