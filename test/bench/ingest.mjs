// MQTT publishes a second, 64 B, 50 connections, broker on core 0, load on core 1, default settings. Beside it, where installed, Mosquitto (nothing stored) and NATS
// JetStream (a file stream on the subjects, synced every two minutes). Brokers take turns, so that what else the machine does hits all of them. A run counts only
// if every acknowledged record is read back. With one publish in flight what counts is the time to PUBACK: beside it the same build on a file system in memory,
// where a sync costs nothing, and a synced write by itself, of the size that commits had in that run, on the broker's core, where the commit thread runs too.
// Short: --runs=1 --seconds=1. Options: --runs=5 --seconds=3 --shapes=one,twenty,hundred,qos0,qos2 --directory=/path --set.KEY=VALUE
// A shape of its own, without bars: --qos=1 --in-flight=20 --connections=50 --payload=64 --version=5 --properties --retain --only=brooklet,nats
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brokers } from './support/brokers.mjs'
import { median, memoryOf, table, writtenBy, writtenToDevice } from './support/machine.mjs'
import { readBack } from './support/read-back.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/publish-load.mjs', import.meta.url))
const writeFile = fileURLToPath(new URL('support/synced-write.mjs', import.meta.url))
const [brokerCore, loadCore] = ['0', '1']
const blockBytes = 4096
const inMemory = 'brooklet, no sync'
const memoryDirectory = '/dev/shm'

/** `over`: the least rate, as a multiple of another broker's. */
const shapes = {
  twenty: { text: 'QoS 1, 20 in flight', load: { inFlight: 20 }, over: { mosquitto: 1.5, nats: 5 } },
  hundred: { text: 'QoS 1, 100 in flight', load: { inFlight: 100 }, over: { mosquitto: 2.5 } },
  qos0: { text: 'QoS 0, 100 in flight', load: { qos: 0, inFlight: 100 }, over: { mosquitto: 1 } },
  qos2: { text: 'QoS 2, 20 in flight', load: { qos: 2, inFlight: 20 }, over: { mosquitto: 1 } },
  one: { text: 'QoS 1, 1 in flight', load: { inFlight: 1 }, beside: [inMemory] },
}

const ownShapeOptions = ['qos', 'in-flight', 'connections', 'payload', 'version', 'properties', 'retain', 'only']

/** Undefined unless one of its options is given. */
const ownShape = options => {
  if (!ownShapeOptions.some(name => name in options)) return undefined
  const load = {
    connections: Number(options.connections ?? 50),
    inFlight: Number(options['in-flight'] ?? 20),
    payloadBytes: Number(options.payload ?? 64),
    version: Number(options.version ?? 4),
    properties: options.properties === 'true',
    qos: Number(options.qos ?? 1),
    retain: options.retain === 'true',
  }
  const others = (options.only?.split(',') ?? ['mosquitto', 'nats']).filter(name => name !== 'brooklet')
  return { text: `QoS ${load.qos}, ${load.inFlight} in flight`, load, beside: others }
}

/** What a commit writes, and takes, on average, since the start. */
const commitsOf = async http => {
  const text = await (await fetch(`http://${http}/metrics`)).text()
  const of = name => Number(new RegExp(`^brooklet_storage_${name}_total (\\d+)`, 'm').exec(text)?.[1])
  const syncs = of('syncs')
  return { commitBytes: of('group_bytes') / syncs, commitMs: of('commit_microseconds') / syncs / 1000 }
}

const syncedWriteMs = async (directory, commitBytes) => {
  const bytes = Math.ceil(commitBytes / blockBytes) * blockBytes
  const given = ['-c', brokerCore, process.execPath, writeFile, directory, String(bytes)]
  return Number((await run('taskset', given)).stdout)
}

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

const measure = async (name, shape, directory, load, settings) => {
  const isOurs = name === 'brooklet' || name === inMemory
  const parent = name === inMemory ? memoryDirectory : directory
  const broker = await brokers[isOurs ? 'brooklet' : name].start(parent, isOurs ? settings : {})
  try {
    const before = { process: writtenBy(broker.pid), device: writtenToDevice(broker.directory) }
    const figures = await publish(broker.port, { ...load, ...shape.load })
    const processBytes = writtenBy(broker.pid) - before.process
    const deviceBytes = writtenToDevice(broker.directory) - before.device
    const memory = memoryOf(broker.pid)
    const commits = isOurs ? await commitsOf(broker.http) : {}
    const lost = await missing(name, broker, figures)
    return {
      name,
      shape: shape.text,
      ...figures,
      ...memory,
      ...commits,
      bytesPerEvent: processBytes / figures.acked,
      deviceBytesPerEvent: deviceBytes / figures.acked,
      ...(lost === undefined ? {} : { void: lost }),
    }
  } finally {
    await broker.stop()
  }
}

const summary = (shape, name, runs) => {
  const valid = runs.filter(one => one.name === name && one.shape === shape && one.void === undefined)
  const of = key => median(valid.map(one => one[key])) ?? Number.NaN
  return {
    shape,
    broker: name,
    runs: valid.length,
    'publishes/s': of('rate'),
    'p50 ms': of('p50Ms'),
    'p99 ms': of('p99Ms'),
    'load core': of('loadCore'),
    'RSS MiB': Math.round(of('rssMiB')),
    'written B/event': of('bytesPerEvent'),
    'device B/event': of('deviceBytesPerEvent'),
  }
}

const settingsOf = options =>
  Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )

const brokersOf = ({ over = {}, beside = [] }) => ['brooklet', ...Object.keys(over), ...beside]

export default async options => {
  const settings = settingsOf(options)
  const directory = options.directory ?? tmpdir()
  const load = { runMs: Number(options.seconds ?? 3) * 1000 }
  const own = ownShape(options)
  const wanted =
    own === undefined ? (options.shapes?.split(',') ?? Object.keys(shapes)).map(name => shapes[name]) : [own]
  const names = [...new Set(wanted.flatMap(brokersOf))]
  const absent = names.filter(name => brokers[name]?.isInstalled() === false)
  for (const name of absent) process.stderr.write(`${name} is not installed, left out\n`)
  const runs = []
  const writesMs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    for (const shape of wanted) {
      for (const name of brokersOf(shape).filter(name => !absent.includes(name))) {
        const figures = await measure(name, shape, directory, load, settings)
        runs.push(figures)
        const lost = figures.void === undefined ? '' : ` VOID: ${figures.void}`
        process.stderr.write(`${shape.text}, ${name}: ${figures.rate.toLocaleString('en')}/s${lost}\n`)
        if (shape === shapes.one && name === 'brooklet')
          writesMs.push(await syncedWriteMs(directory, figures.commitBytes))
      }
    }
  }
  const rows = wanted.flatMap(shape =>
    brokersOf(shape)
      .filter(name => !absent.includes(name))
      .map(name => summary(shape.text, name, runs)),
  )
  process.stdout.write(`${table(rows)}\n`)
  const lost = runs.filter(one => one.void !== undefined).length
  const checks = [{ name: 'runs in which an acknowledged record is missing', value: lost, atMost: 0 }]
  const rowOf = (shape, name) => rows.find(row => row.shape === shape.text && row.broker === name)
  for (const shape of wanted) {
    for (const [name, bar] of Object.entries(shape.over ?? {})) {
      if (absent.includes(name)) continue
      const value = rowOf(shape, 'brooklet')['publishes/s'] / rowOf(shape, name)['publishes/s']
      checks.push({ name: `${shape.text}: rate over that of ${name}`, value, atLeast: bar })
    }
  }
  if (wanted.includes(shapes.one)) {
    const writeMs = median(writesMs)
    const commits = runs.filter(one => one.name === 'brooklet' && one.shape === shapes.one.text)
    const [bytes, commitMs] = ['commitBytes', 'commitMs'].map(key => median(commits.map(one => one[key])))
    process.stdout.write(
      `a commit: ${Math.round(bytes)} bytes, ${commitMs.toFixed(3)} ms; a synced write of whole blocks for as many by itself: ${writeMs.toFixed(3)} ms\n`,
    )
    checks.push({
      name: 'QoS 1, 1 in flight: p50 ms to PUBACK (that without sync, and two synced writes)',
      value: rowOf(shapes.one, 'brooklet')['p50 ms'],
      atMost: rowOf(shapes.one, inMemory)['p50 ms'] + 2 * writeMs,
    })
  }
  return { load, settings, rows, writesMs, runs, checks }
}
