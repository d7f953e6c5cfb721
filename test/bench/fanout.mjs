// Delivered publishes a second, 64 B: 1 publisher to 100 subscribers, and 100 publishers to the same 100 subscribers, each with QoS 0 and 1; broker on core 0, load on core 1,
// default settings, brokers in turns. Bar: 0.7 of Mosquitto's rate, which stores nothing. A run counts only if every delivery arrived.
// Short: --runs=1 --seconds=2. Options: --runs=5 --seconds=3 --payload=64 --only=brooklet,mosquitto --directory=/path --set.KEY=VALUE
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brokers } from './support/brokers.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/fanout-load.mjs', import.meta.url))
const loadCore = '1'
const bar = 0.7

const shapes = [
  { name: '1 to 100, QoS 0', publishers: 1, inFlight: 40, qos: 0 },
  { name: '1 to 100, QoS 1', publishers: 1, inFlight: 40, qos: 1 },
  { name: '100 to 100, QoS 0', publishers: 100, inFlight: 1, qos: 0 },
  { name: '100 to 100, QoS 1', publishers: 100, inFlight: 1, qos: 1 },
]

const measure = async (name, shape, directory, load, settings) => {
  const broker = await brokers[name].start(directory, settings)
  try {
    const given = JSON.stringify({ port: broker.port, ...load, ...shape })
    const { stdout } = await run('taskset', ['-c', loadCore, process.execPath, loadFile, given])
    return { broker: name, shape: shape.name, ...JSON.parse(stdout), ...memoryOf(broker.pid) }
  } finally {
    await broker.stop()
  }
}

export default async options => {
  const load = { payloadBytes: Number(options.payload ?? 64), runMs: Number(options.seconds ?? 3) * 1000 }
  const directory = options.directory ?? tmpdir()
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const names = (options.only?.split(',') ?? ['brooklet', 'mosquitto']).filter(name => brokers[name].isInstalled())
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    for (const shape of shapes) {
      for (const name of names) {
        const figures = await measure(name, shape, directory, load, name === 'brooklet' ? settings : {})
        runs.push(figures)
        const lost = figures.missing === 0 ? '' : ` VOID: ${figures.missing} deliveries did not arrive`
        process.stderr.write(`${shape.name} ${name}: ${figures.rate.toLocaleString('en')}/s${lost}\n`)
      }
    }
  }
  const valid = (shape, broker) => runs.filter(one => one.shape === shape && one.broker === broker && one.missing === 0)
  const rows = shapes.flatMap(({ name: shape }) =>
    names.map(broker => {
      const of = key => median(valid(shape, broker).map(one => one[key])) ?? Number.NaN
      return {
        shape,
        broker,
        runs: valid(shape, broker).length,
        'delivered/s': of('rate'),
        'load core': of('loadCore'),
        'RSS MiB': of('rssMiB'),
      }
    }),
  )
  process.stdout.write(`${table(rows)}\n`)
  const rateOf = (shape, broker) =>
    rows.find(row => row.shape === shape && row.broker === broker)?.['delivered/s'] ?? Number.NaN
  const lost = runs.filter(({ missing }) => missing > 0).length
  const checks = [{ name: 'runs in which a delivery is missing', value: lost, atMost: 0 }]
  for (const { name } of shapes) {
    const value = rateOf(name, 'brooklet') / rateOf(name, 'mosquitto')
    if (!Number.isNaN(value)) checks.push({ name: `${name}: rate over Mosquitto's`, value, atLeast: bar })
  }
  return { load, settings, rows, runs, checks }
}
