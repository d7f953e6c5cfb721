// How long an event of a steady load takes from its acknowledgement here, which is its sync, to where readers of committed records have it upstream; and what
// the uplink costs. On the direct way, and over links with a round trip.
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sleep, startWithBacklog } from './backlog-gateway.mjs'
import { bundledProgram } from './bundle.mjs'
import { centralCore } from './central-kafka.mjs'
import { cpuSecondsOf } from './machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('latency-load.mjs', import.meta.url))
const [rate, topic, partitions] = [10_000, 'latency', 4]
const graceMs = 50

const publish = async (port, seconds) => {
  const given = JSON.stringify({ port, rate, seconds, folder: topic })
  return JSON.parse((await run('taskset', ['-c', centralCore, process.execPath, loadFile, given])).stdout)
}

const startReader = async (bootstrap, target) => {
  const given = JSON.stringify({ bootstrap, topic: target, partitions })
  const program = await bundledProgram('committed-latency.mjs')
  const child = spawn('taskset', ['-c', centralCore, process.execPath, program, given], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return async () => {
    child.stdin.end()
    return JSON.parse((await lines.next()).value)
  }
}

const measure = async (central, link, roundTripMs, seconds, settings) => {
  link.link = { ...link.link, latencyMs: roundTripMs / 2 }
  const name = `steady-${roundTripMs}-`
  const gateway = await startWithBacklog(roundTripMs === 0 ? central.bootstrap : link.address, 0, {
    settings: { 'uplink.rename': `${name}{topic}`, ...settings },
  })
  try {
    await gateway.post('resume')
    await publish(gateway.mqttPort, 3)
    while ((await gateway.status()).partitions.some(({ lagRecords }) => lagRecords > 0)) await sleep(200)
    const end = await startReader(central.bootstrap, `${name}${topic}`)
    const cpuBefore = cpuSecondsOf(gateway.pid)
    const { acked, latencyMs } = await publish(gateway.mqttPort, seconds)
    const cpu = (cpuSecondsOf(gateway.pid) - cpuBefore) / seconds
    const { records, p50, p99 } = await end()
    const idle = await startWithBacklog(central.bootstrap, 0, { settings })
    const before = cpuSecondsOf(idle.pid)
    await publish(idle.mqttPort, seconds)
    const withoutUplink = (cpuSecondsOf(idle.pid) - before) / seconds
    await idle.end()
    return {
      'round trip ms': roundTripMs,
      missing: Math.abs(acked - records),
      'ack p99 ms': latencyMs.p99,
      'upstream p50 ms': p50 - latencyMs.p50,
      'upstream p99 ms': p99 - latencyMs.p99,
      'CPU share': cpu,
      'of it the uplink': cpu - withoutUplink,
    }
  } finally {
    await gateway.end()
  }
}

export const steady = async (central, { seconds = 8, settings, link }) => {
  const rows = []
  for (const roundTripMs of [0, 50]) {
    rows.push(await measure(central, link, roundTripMs, seconds, settings))
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`)
  }
  link.link = { ...link.link, latencyMs: 0 }
  const checks = rows.flatMap(row => [
    {
      name: `${row['round trip ms']} ms round trip: records that are missing upstream, or there too often`,
      value: row.missing,
      atMost: 0,
    },
    {
      name: `${row['round trip ms']} ms round trip: p99 from sync to committed upstream, ms`,
      value: row['upstream p99 ms'],
      atMost: 2 * row['round trip ms'] + graceMs,
    },
  ])
  return { rows, checks }
}
