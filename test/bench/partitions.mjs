// 10,000 partitions beside 10: ingest rate of the same MQTT load (bar: 90 %), time to ready after kill -9 and after a clean stop (bar: 2 s), and
// RSS, with records of every partition in every segment of the log, which is the most that an index has to hold.
// Short: --runs=2 --seconds=2 --gigabytes=0.25. Options: --runs=5 --seconds=3 --partitions=10000 --gigabytes=1 --directory=/path
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { startGateway } from './support/gateway-process.mjs'
import { median, memoryOf, table } from './support/machine.mjs'

const run = promisify(execFile)
const loadFile = fileURLToPath(new URL('support/publish-load.mjs', import.meta.url))
const startBarMs = 2000
const rateBar = 0.9
const perTopic = 1000
/** A request holds one for each partition of a topic. */
const largestValueBytes = 16 * 1024
const mebibyte = 2 ** 20

const kafkaOf = gateway => new Kafka({ brokers: [gateway.kafka], logLevel: logLevel.NOTHING, requestTimeout: 60_000 })

/** Topics `load`, `load1`, ... of at most 1,000 partitions each. */
const createTopics = async (gateway, partitions) => {
  const admin = kafkaOf(gateway).admin()
  await admin.connect()
  const names = []
  for (let left = partitions; left > 0; left -= perTopic) {
    const topic = names.length === 0 ? 'load' : `load${names.length}`
    names.push({ topic, numPartitions: Math.min(perTopic, left) })
    await admin.createTopics({ topics: [names.at(-1)] })
  }
  await admin.disconnect()
  return names
}

/** A record for every partition, again and again: of many partitions each sweep fills about a slot. */
const fill = async (gateway, topics, bytes, budgetBytes) => {
  const partitions = topics.reduce((sum, { numPartitions }) => sum + numPartitions, 0)
  const slotBytes = Math.min(64, Math.max(4, Math.floor(budgetBytes / 64 / mebibyte))) * mebibyte
  const value = Buffer.alloc(Math.min(largestValueBytes, Math.max(64, Math.floor(slotBytes / partitions) - 150)), 'x')
  const sweepBytes = partitions * (value.length + 150)
  const producer = kafkaOf(gateway).producer()
  await producer.connect()
  for (let sent = 0; sent < bytes; sent += sweepBytes) {
    await Promise.all(
      topics.map(({ topic, numPartitions }) => {
        const messages = Array.from({ length: numPartitions }, (_, partition) => ({ partition, value }))
        return producer.send({ topic, messages, timeout: 60_000 })
      }),
    )
  }
  await producer.disconnect()
}

const ingest = async (gateway, runMs) => {
  const load = { port: gateway.mqttPort, payloadBytes: 64, warmUpMs: 1000, runMs, topic: 'load/device-{n}/reading' }
  const { stdout } = await run(process.execPath, [loadFile, JSON.stringify(load)])
  return JSON.parse(stdout).rate
}

export default async options => {
  const runs = Number(options.runs ?? 5)
  const many = Number(options.partitions ?? 10_000)
  const bytes = Number(options.gigabytes ?? 1) * 1024 * mebibyte
  const budgetBytes = bytes * 1.5
  const started = {
    settings: { 'disk.budget': String(budgetBytes), 'partitions.max': String(many + 100), 'retention.ms': '-1' },
  }
  const parent = options.directory ?? tmpdir()
  const directories = [10, many].map(partitions => ({ partitions, directory: mkdtempSync(join(parent, 'bench-')) }))
  process.once('exit', () => {
    for (const { directory } of directories) rmSync(directory, { recursive: true, force: true })
  })
  const found = []
  for (const { partitions, directory } of directories) {
    let gateway = await startGateway(directory, started)
    const topics = await createTopics(gateway, partitions)
    const createdMiB = memoryOf(gateway.pid).rssMiB
    await fill(gateway, topics, bytes, budgetBytes)
    const figures = {
      partitions,
      directory,
      createdMiB,
      filledMiB: memoryOf(gateway.pid).rssMiB,
      killed: [],
      stopped: [],
      rates: [],
    }
    for (const [signal, times] of [
      ['SIGKILL', figures.killed],
      ['SIGTERM', figures.stopped],
    ]) {
      for (let round = 0; round < runs; round++) {
        await gateway.end(signal)
        gateway = await startGateway(directory, started)
        times.push(gateway.readyMs)
      }
    }
    figures.readyMiB = memoryOf(gateway.pid).rssMiB
    found.push({ ...figures, gateway })
  }
  // in turns, so that what else the machine does hits both
  for (let round = 0; round < runs; round++) {
    for (const { gateway, rates } of found) rates.push(await ingest(gateway, Number(options.seconds ?? 3) * 1000))
  }
  for (const { gateway } of found) await gateway.end('SIGTERM')
  const rows = found.map(({ partitions, createdMiB, filledMiB, readyMiB, killed, stopped, rates }) => ({
    partitions,
    'stored MiB': Math.round(bytes / mebibyte),
    'publishes/s': median(rates),
    'ready ms, kill -9': Math.round(median(killed)),
    'ready ms, stop': Math.round(median(stopped)),
    'RSS MiB, empty': Math.round(createdMiB),
    filled: Math.round(filledMiB),
    restarted: Math.round(readyMiB),
  }))
  const ratio = rows[1]['publishes/s'] / rows[0]['publishes/s']
  process.stdout.write(`${table(rows)}\n`)
  const checks = [
    { name: `rate with ${many} partitions over that with 10`, value: ratio, atLeast: rateBar },
    ...['ready ms, kill -9', 'ready ms, stop'].map(name => ({ name, value: rows[1][name], atMost: startBarMs })),
  ]
  return { rows, checks, runs: found.map(({ gateway, ...rest }) => rest) }
}
