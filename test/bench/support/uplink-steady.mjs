// How long an event of a steady load takes from its sync here until the central cluster has acknowledged its transaction, as the gateway's own histogram
// says it; and what the uplink costs. On the direct way, and over links with a round trip.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sleep, startWithBacklog } from './backlog-gateway.mjs'
import { centralCore } from './central-kafka.mjs'
import { cpuSecondsOf } from './machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('latency-load.mjs', import.meta.url))
const [rate, topic, warmUpSeconds] = [10_000, 'latency', 8]
const graceMs = 50

const publish = async (port, seconds) => {
  const given = JSON.stringify({ port, rate, seconds, folder: topic })
  return JSON.parse((await run('taskset', ['-c', centralCore, 'nice', process.execPath, loadFile, given])).stdout)
}

/** The histogram of delays: pairs of a bound in milliseconds and the records up to it. */
const delaysOf = async gateway => {
  const text = await (await fetch(`http://${gateway.http}/metrics`)).text()
  const rows = [...text.matchAll(/^brooklet_uplink_delay_seconds_bucket\{le="(.+)"\} (\d+)$/gm)]
  return rows.map(([, bound, count]) => [bound === '+Inf' ? Number.POSITIVE_INFINITY : 1000 * bound, Number(count)])
}

/** The value below which this part of what came between the two readings lies; even within a bound. */
const quantile = (before, after, part) => {
  const counts = after.map(([bound, count], index) => [bound, count - before[index][1]])
  const wanted = part * counts.at(-1)[1]
  const found = counts.findIndex(([, count]) => count >= wanted)
  const [floor, below] = counts[found - 1] ?? [0, 0]
  const [bound, count] = counts[found]
  return floor + ((wanted - below) / (count - below)) * (bound - floor)
}

const measure = async (central, link, roundTripMs, seconds, settings) => {
  link.link = { ...link.link, latencyMs: roundTripMs / 2 }
  const name = `steady-${roundTripMs}-`
  const gateway = await startWithBacklog(roundTripMs === 0 ? central.bootstrap : link.address, 0, {
    settings: { 'uplink.rename': `${name}{topic}`, ...settings },
  })
  try {
    await gateway.post('resume')
    await publish(gateway.mqttPort, warmUpSeconds)
    const isBehind = async () => (await gateway.status()).partitions.some(({ lagRecords }) => lagRecords > 0)
    while (await isBehind()) await sleep(200)
    const before = await delaysOf(gateway)
    const cpuBefore = cpuSecondsOf(gateway.pid)
    const { acked, latencyMs } = await publish(gateway.mqttPort, seconds)
    const cpu = (cpuSecondsOf(gateway.pid) - cpuBefore) / seconds
    while (await isBehind()) await sleep(200)
    const after = await delaysOf(gateway)
    const idle = await startWithBacklog(central.bootstrap, 0, { settings })
    const idleBefore = cpuSecondsOf(idle.pid)
    await publish(idle.mqttPort, seconds)
    const withoutUplink = (cpuSecondsOf(idle.pid) - idleBefore) / seconds
    await idle.end()
    return {
      'round trip ms': roundTripMs,
      missing: Math.abs(acked - (after.at(-1)[1] - before.at(-1)[1])),
      'ack p99 ms': latencyMs.p99,
      'upstream p50 ms': quantile(before, after, 0.5),
      'upstream p99 ms': quantile(before, after, 0.99),
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
      name: `${row['round trip ms']} ms round trip: records that were not acknowledged, or more than there are`,
      value: row.missing,
      atMost: 0,
    },
    {
      name: `${row['round trip ms']} ms round trip: p99 from sync to central acknowledgement, ms`,
      value: row['upstream p99 ms'],
      atMost: 2 * row['round trip ms'] + graceMs,
    },
  ])
  return { rows, checks }
}
