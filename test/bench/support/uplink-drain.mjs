// How fast a backlog goes up, beside Kafka's producer with the same batch size and compression, and MirrorMaker 2 on the same backlog.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envBacklog, startWithBacklog } from './backlog-gateway.mjs'
import { mirrorMaker, missingMirrorMaker, producerPerformance } from './java-peers.mjs'
import { median } from './machine.mjs'

const topic = 'sensors'
const partitions = 4
const producerProperties = { 'batch.size': 524_288, 'compression.type': 'zstd', 'linger.ms': 20 }

export const drain = async (central, { records, runs, settings }) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const file = join(directory, 'payloads')
  await envBacklog({ file, records: 50_000 })
  const figures = []
  try {
    // a broker that has just started would slow down whoever comes first
    await central.createTopic('warm-up', partitions)
    await producerPerformance(central.bootstrap, 'warm-up', 500_000, file, producerProperties)
    for (let index = 0; index < runs; index++) {
      const gateway = await startWithBacklog(central.bootstrap, records, {
        settings: { 'uplink.rename': `up-${index}-{topic}`, ...settings },
      })
      try {
        const seconds = await gateway.drain()
        const own = { rate: gateway.stored / seconds, peakMiB: gateway.memory().peakMiB }
        await central.createTopic(`java-${index}`, partitions)
        const java = await producerPerformance(central.bootstrap, `java-${index}`, records, file, producerProperties)
        const mirror =
          index === 0 && missingMirrorMaker() === undefined
            ? await mirrorMaker(gateway.kafka, central, topic, gateway.stored, producerProperties)
            : undefined
        figures.push({ own, java, mirror })
        process.stderr.write(`${JSON.stringify(figures.at(-1))}\n`)
      } finally {
        await gateway.end()
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  const own = median(figures.map(one => one.own.rate))
  const java = median(figures.map(one => one.java))
  const mirror = figures[0].mirror
  const peakMiB = Math.max(...figures.map(one => one.own.peakMiB))
  const rows = [
    { what: 'uplink', 'records/s': own, 'peak RSS MiB': peakMiB },
    { what: 'kafka-producer-perf-test', 'records/s': java, 'peak RSS MiB': Number.NaN },
    ...(mirror === undefined
      ? []
      : [{ what: 'MirrorMaker 2', 'records/s': mirror.rate, 'peak RSS MiB': mirror.peakMiB }]),
  ]
  const checks = [{ name: "drain over Kafka's producer", value: own / java, atLeast: 0.9 }]
  if (mirror !== undefined) {
    checks.push({ name: 'drain over MirrorMaker 2', value: own / mirror.rate, atLeast: 2 })
    checks.push({ name: 'peak RSS over that of MirrorMaker 2', value: peakMiB / mirror.peakMiB, atMost: 0.2 })
  }
  return { rows, figures, checks }
}
