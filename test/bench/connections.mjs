// 10,000 connections that say nothing: resident memory (bar: 200 MiB, default settings), and how long it takes until all are back that are cut at once, each
// with a subscription of its own (bar: twice Mosquitto's time). Broker on core 0, load on core 1, brokers in turns. Needs 10,100 descriptors (ulimit -n).
// Short: --runs=1 --connections=2000 --seconds=2. Options: --runs=5 --connections=10000 --seconds=10 --only=brooklet,mosquitto --directory=/path --set.KEY=VALUE
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { brokers } from './support/brokers.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const loadFile = fileURLToPath(new URL('support/connection-load.mjs', import.meta.url))
const loadCore = '1'
const memoryBarMiB = 200
const stormBar = 2

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

const measure = async (name, { connections, subscribes, idleMs }, directory, settings) => {
  const broker = await brokers[name].start(directory, settings)
  const given = JSON.stringify({ port: broker.port, connections, subscribes })
  const load = spawn('taskset', ['-c', loadCore, process.execPath, loadFile, given], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: load.stdout })[Symbol.asyncIterator]()
  const said = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`the load ended early, beside ${name}`)
    return JSON.parse(value)
  }
  try {
    const emptyMiB = memoryOf(broker.pid).rssMiB
    await said()
    await sleep(idleMs)
    const { rssMiB } = memoryOf(broker.pid)
    load.stdin.write('storm\n')
    const { seconds, loadCore: busy, retries, lostBefore } = await said()
    if (lostBefore > 0) throw new Error(`${name} closed ${lostBefore} connections that said nothing`)
    return { broker: name, emptyMiB, rssMiB, seconds, loadCore: busy, retries, afterMiB: memoryOf(broker.pid).rssMiB }
  } finally {
    load.kill('SIGKILL')
    await broker.stop()
  }
}

export default async options => {
  const load = {
    connections: Number(options.connections ?? 10_000),
    subscribes: options.subscribes !== 'false',
    idleMs: Number(options.seconds ?? 10) * 1000,
  }
  const directory = options.directory ?? tmpdir()
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const names = (options.only?.split(',') ?? ['brooklet', 'mosquitto']).filter(name => brokers[name].isInstalled())
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    for (const name of names) {
      const figures = await measure(name, load, directory, name === 'brooklet' ? settings : {})
      runs.push(figures)
      process.stderr.write(`${name}: ${figures.rssMiB.toFixed(0)} MiB, all back in ${figures.seconds.toFixed(2)} s\n`)
    }
  }
  const of = (broker, key) => median(runs.filter(one => one.broker === broker).map(one => one[key])) ?? Number.NaN
  const rows = names.map(broker => ({
    broker,
    runs: runs.filter(one => one.broker === broker).length,
    connections: load.connections,
    'empty MiB': of(broker, 'emptyMiB'),
    'RSS MiB': of(broker, 'rssMiB'),
    'KiB each': ((of(broker, 'rssMiB') - of(broker, 'emptyMiB')) * 1024) / load.connections,
    'back after s': of(broker, 'seconds'),
    'load core': of(broker, 'loadCore'),
    retries: of(broker, 'retries'),
    'RSS then': of(broker, 'afterMiB'),
  }))
  process.stdout.write(`${table(rows)}\n`)
  const checks = [{ name: 'RSS MiB', value: of('brooklet', 'rssMiB'), atMost: memoryBarMiB }]
  const ratio = of('brooklet', 'seconds') / of('mosquitto', 'seconds')
  if (!Number.isNaN(ratio)) checks.push({ name: "all back, over Mosquitto's time", value: ratio, atMost: stormBar })
  return { load, settings, rows, runs, checks }
}
