// Bytes that the device takes, on an ext4 of its own behind a loop device (root). First lap: slots are made, zeros first. Second lap: they
// are used again. `log` is what Brooklet hands to the device as groups, padding included; `payload` is what devices sent.
// Short: --high-seconds=8 --low-seconds=10. Options: --payload=120 --rate=10000 --low-rate=10 --high-seconds=30 --low-seconds=60 --budget=64MiB --partitions=64 --directory=/path
import { mkdirSync } from 'node:fs'
import { startGateway } from './support/gateway-process.mjs'
import { mountLoop } from './support/loop-device.mjs'
import { table, writtenBy, writtenToDevice } from './support/machine.mjs'
import { startLoad } from './support/paced-load.mjs'
import { runPartitionFiles } from './support/partition-files.mjs'

const bars = { ratio: 1.5, firstCommit: 16 * 1024, secondCommit: 8 * 1024, lingerShare: 1 / 5 }
const devices = 4096
const settleMs = 3000

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

const metricsOf = async ({ http }) => {
  const text = await (await fetch(`http://${http}/metrics`)).text()
  const sum = name =>
    [...text.matchAll(new RegExp(`^brooklet_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    )
  return {
    logBytes: sum('storage_group_bytes_total'),
    commits: sum('storage_groups_total'),
    slots: sum('storage_slots'),
    evicted: sum('storage_evicted_bytes_total'),
  }
}

/** Everything counted at one moment, with what the file system still held on the device. */
const countAt = async (loop, gateway, load) => {
  loop.flush()
  const counts = {
    ...(await metricsOf(gateway)),
    device: writtenToDevice(loop.directory),
    process: writtenBy(gateway.pid),
  }
  return { ...counts, events: load.counts().acked }
}

const between = (before, after, payloadBytes) => {
  const of = key => after[key] - before[key]
  const events = of('events')
  return {
    events,
    commits: of('commits'),
    'log/payload': of('logBytes') / (events * payloadBytes),
    'device/log': of('device') / of('logBytes'),
    'device B/event': of('device') / events,
    'device B/commit': of('device') / of('commits'),
    'process B/event': of('process') / events,
  }
}

const withGateway = async (loop, name, settings, work) => {
  const directory = `${loop.directory}/${name}`
  mkdirSync(directory, { recursive: true })
  const gateway = await startGateway(directory, { settings })
  try {
    await sleep(settleMs)
    return await work(gateway)
  } finally {
    await gateway.end('SIGTERM')
  }
}

export default async options => {
  const loop = mountLoop(Number(options.megabytes ?? 1024), options.directory)
  if (typeof loop === 'string') {
    process.stdout.write(`SKIPPED: ${loop}\n`)
    return { skipped: loop }
  }
  const payloadBytes = Number(options.payload ?? 120)
  const rate = Number(options.rate ?? 10_000)
  const lowRate = Number(options['low-rate'] ?? 10)
  const lowSeconds = Number(options['low-seconds'] ?? 60)
  const highSeconds = Number(options['high-seconds'] ?? 30)
  const partitions = Number(options.partitions ?? 64)
  const settings = { 'disk.budget': options.budget ?? '64MiB', 'num.partitions': partitions }
  const rows = []
  const note = row => {
    rows.push(row)
    process.stderr.write(`${JSON.stringify(row)}\n`)
  }

  /** Sends at `perSecond` for `seconds`, or until `isOver` says so; one row. */
  const stretch = async (gateway, name, perSecond, seconds, isOver = async () => false) => {
    const load = await startLoad({ port: gateway.mqttPort, rate: perSecond, devices, payloadBytes })
    await sleep(1000)
    const before = await countAt(loop, gateway, load)
    for (let waited = 0; waited < seconds * 1000 && !(await isOver()); waited += 500) await sleep(500)
    const after = await countAt(loop, gateway, load)
    const { sent, acked, latencyMs } = await load.stop()
    if (acked !== sent) throw new Error(`${name}: ${sent} sent, ${acked} acknowledged`)
    note({ name, ...between(before, after, payloadBytes), 'p50 ms': latencyMs.p50, 'p99 ms': latencyMs.p99 })
    return rows.at(-1)
  }

  try {
    const bytesAt = {}
    await withGateway(loop, 'laps', settings, async gateway => {
      const isFull = async () => (await metricsOf(gateway)).evicted > 0
      bytesAt.first = await stretch(gateway, `first lap, ${rate}/s, ${partitions} partitions`, rate, 300, isFull)
      // the slots that are made ahead are there when the first data has gone; one lap more to be sure of it
      bytesAt.second = await stretch(gateway, `second lap, ${rate}/s, ${partitions} partitions`, rate, highSeconds)
      bytesAt.secondLow = await stretch(gateway, `second lap, ${lowRate}/s`, lowRate, lowSeconds)
    })
    await withGateway(loop, 'laps', { ...settings, 'commit.linger.ms': 1000 }, async gateway => {
      bytesAt.lingering = await stretch(gateway, `second lap, ${lowRate}/s, commit.linger.ms=1000`, lowRate, lowSeconds)
    })
    await withGateway(loop, 'fresh', settings, async gateway => {
      bytesAt.firstLow = await stretch(gateway, `first lap, ${lowRate}/s`, lowRate, lowSeconds)
    })
    // the zeros of all slots are written before the first event; the settings of the package
    await withGateway(loop, 'reserved', { ...settings, 'disk.reserve': true }, async gateway => {
      for (let before = -1; before !== writtenToDevice(loop.directory); await sleep(2000)) {
        before = writtenToDevice(loop.directory)
      }
      bytesAt.reserved = await stretch(gateway, `first lap after disk.reserve, ${rate}/s`, rate, 8)
    })
    for (const count of [1, 16, 64]) {
      await withGateway(loop, `partitions-${count}`, { ...settings, 'num.partitions': count }, gateway =>
        stretch(gateway, `first lap, ${rate}/s, ${count} partitions, 8 s`, rate, 8),
      )
    }
    for (const [perSecond, seconds, synced, count] of [
      [rate, 8, true, 1],
      [rate, 8, true, 16],
      [rate, 8, true, 64],
      [rate, 8, false, 64],
      [lowRate, lowSeconds / 2, true, 64],
    ]) {
      const directory = `${loop.directory}/files-${perSecond}-${synced}-${count}`
      mkdirSync(directory)
      loop.flush()
      const before = writtenToDevice(loop.directory)
      const model = { rate: perSecond, seconds, partitions: count, payloadBytes, lingerMs: 5, synced }
      const { events, commits, logBytes } = await runPartitionFiles(directory, model)
      loop.flush()
      const device = writtenToDevice(loop.directory) - before
      note({
        name: `a file per partition, ${perSecond}/s, ${count} partitions, ${synced ? 'synced' : 'not synced'}`,
        events,
        commits,
        'log/payload': logBytes / (events * payloadBytes),
        'device/log': device / logBytes,
        'device B/event': device / events,
        'device B/commit': device / commits,
      })
    }
    const checks = [
      ['device/log, first lap', bytesAt.first['device/log'], bars.ratio],
      ['device/log, first lap after disk.reserve', bytesAt.reserved['device/log'], bars.ratio],
      ['device/log, second lap', bytesAt.second['device/log'], bars.ratio],
      ['device B/commit, first lap', bytesAt.firstLow['device B/commit'], bars.firstCommit],
      ['device B/commit, second lap', bytesAt.secondLow['device B/commit'], bars.secondCommit],
      [
        'device B/event with linger 1000 to without',
        bytesAt.lingering['device B/event'] / bytesAt.secondLow['device B/event'],
        bars.lingerShare,
      ],
    ].map(([name, value, atMost]) => ({ name, value, atMost }))
    const names = [...new Set(rows.flatMap(row => Object.keys(row)))]
    const full = rows.map(row => Object.fromEntries(names.map(name => [name, row[name] ?? Number.NaN])))
    process.stdout.write(`${table(full)}\n`)
    return { settings, rows, checks }
  } finally {
    loop.close()
  }
}
