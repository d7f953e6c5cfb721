// How long a publish takes to its acknowledgement and to a Kafka consumer: MQTT QoS 1, 64 B, 10,000 publishes a second, read through librdkafka as they come; broker on
// core 0, load and consumer on core 1, default settings. Bar: p99 at the consumer within 10 ms of the acknowledgement's own. Every record must arrive.
// Needs Python's confluent-kafka; PYTHON names the interpreter that has it.
// Short: --runs=1 --seconds=3. Options: --runs=5 --seconds=8 --rate=10000 --directory=/path --set.KEY=VALUE
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { startGateway } from './support/gateway-process.mjs'
import { median, table } from './support/machine.mjs'

const run = promisify(execFile)
const fileOf = name => fileURLToPath(new URL(`support/${name}`, import.meta.url))
const python = process.env['PYTHON'] ?? 'python3'
const [brokerCore, loadCore] = ['0', '1']
const [topic, partitions] = ['latency', 4]
const warmUpSeconds = 2
const barMs = 10

const isInstalled = () => {
  try {
    execFileSync(python, ['-c', 'import confluent_kafka'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const makeTopic = async gateway => {
  const admin = new Kafka({ brokers: [gateway.kafka], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
}

const publish = async (gateway, rate, seconds) => {
  const given = JSON.stringify({ port: gateway.mqttPort, rate, seconds, folder: topic })
  const { stdout } = await run('taskset', ['-c', loadCore, process.execPath, fileOf('latency-load.mjs'), given])
  return JSON.parse(stdout)
}

/** Resolves once it waits for records; `result` with what it found. */
const startConsumer = async gateway => {
  const given = JSON.stringify({ brokers: gateway.kafka, topic, partitions })
  const child = spawn('taskset', ['-c', loadCore, python, fileOf('latency-consumer.py'), given], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const said = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the consumer ended early')
    return value
  }
  await said()
  return { result: async () => JSON.parse(await said()) }
}

const measure = async (parent, rate, seconds, settings) => {
  const directory = mkdtempSync(join(parent, 'bench-'))
  const gateway = await startGateway(directory, { core: brokerCore, settings })
  try {
    await makeTopic(gateway)
    await publish(gateway, rate, warmUpSeconds)
    const consumer = await startConsumer(gateway)
    const { sent, acked, latencyMs } = await publish(gateway, rate, seconds)
    const { records, p50, p99 } = await consumer.result()
    return { sent, acked, records, ackP50: latencyMs.p50, ackP99: latencyMs.p99, p50, p99 }
  } finally {
    await gateway.end('SIGTERM')
    rmSync(directory, { recursive: true, force: true })
  }
}

export default async options => {
  if (!isInstalled()) {
    process.stderr.write(`skipped: bench latency needs confluent-kafka: ${python} -m pip install confluent-kafka\n`)
    return { skipped: 'confluent-kafka is not installed' }
  }
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const [rate, seconds] = [Number(options.rate ?? 10_000), Number(options.seconds ?? 8)]
  const runs = []
  for (let round = 0; round < Number(options.runs ?? 5); round++) {
    const figures = await measure(options.directory ?? tmpdir(), rate, seconds, settings)
    runs.push(figures)
    process.stderr.write(`ack p99 ${figures.ackP99.toFixed(2)} ms, consumer p99 ${figures.p99.toFixed(2)} ms\n`)
  }
  const of = key => median(runs.map(one => one[key]))
  const row = {
    runs: runs.length,
    'publishes/s': rate,
    'ack p50 ms': of('ackP50'),
    'ack p99 ms': of('ackP99'),
    'consumer p50 ms': of('p50'),
    'consumer p99 ms': of('p99'),
  }
  process.stdout.write(`${table([row])}\n`)
  const short = runs.filter(({ sent, acked, records }) => acked !== sent || records !== sent).length
  const behind = median(runs.map(({ p99, ackP99 }) => p99 - ackP99))
  return {
    settings,
    row,
    runs,
    checks: [
      { name: 'runs in which a publish is not acknowledged or not read', value: short, atMost: 0 },
      { name: 'p99 at the consumer after that of the acknowledgement, ms', value: behind, atMost: barMs },
    ],
  }
}
