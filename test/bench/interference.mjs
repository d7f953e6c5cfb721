// p99 of acknowledgements (MQTT QoS 1, a paced load) while something else goes on in the same process: 1,000 scrypt hashes one at a time, 100 lookups of a
// resolver that never answers, and a Kafka consumer that reads a cold log from its beginning. Each beside the quiet stretches before and after it; at most
// twice theirs, in the median of three rounds. For information, because the product does neither: four hashes at once, and lookups that hold threads of the pool (getaddrinfo).
// Short: --seconds=5 --hashes=200 --megabytes=128 --rounds=1. Options: --rate=2000 --seconds=8 --megabytes=256 --hashes=1000 --rounds=3 --directory=/path
import { execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import { startGateway } from './support/gateway-process.mjs'
import { median, table } from './support/machine.mjs'
import { startLoad } from './support/paced-load.mjs'

const bar = 2
const coldRead = 'a cold catch-up read'
const MiB = 1024 * 1024
const preload = fileURLToPath(new URL('support/disturbances.mjs', import.meta.url))
const catchUpFile = fileURLToPath(new URL('support/catch-up.mjs', import.meta.url))
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

const disturb = (path, work) =>
  new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(JSON.stringify(work)))
    socket.once('error', reject)
    socket.once('data', () => resolve())
  })

/** A server that takes questions and never answers. */
const deadResolver = () =>
  new Promise(resolve => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1', () => resolve(socket))
  })

const kafkaOf = gateway => new Kafka({ brokers: [gateway.kafka], logLevel: logLevel.NOTHING, requestTimeout: 60_000 })

const topic = 'history'
const partitions = 16

const fill = async (gateway, bytes) => {
  const admin = kafkaOf(gateway).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
  const producer = kafkaOf(gateway).producer()
  await producer.connect()
  const messages = Array.from({ length: 256 }, (_, index) => ({
    partition: index % partitions,
    value: Buffer.alloc(1024, 0x61),
  }))
  for (let sent = 0; sent < bytes; sent += 8 * 256 * 1024) {
    await Promise.all(Array.from({ length: 8 }, () => producer.send({ topic, messages })))
  }
  await producer.disconnect()
}

/** A process that reads the topic from its beginning, again and again; `stop` resolves with its rate. */
const startCatchUp = (gateway, directory, bytes) =>
  new Promise((resolve, reject) => {
    const given = { broker: gateway.kafka, topic, partitions, bytes, directory }
    const child = spawn(process.execPath, [catchUpFile, JSON.stringify(given)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', text => {
      output += text
      if (output === 'reading\n') resolve({ stop })
    })
    const exited = new Promise(done => child.once('exit', done))
    child.once('exit', () => reject(new Error('the catch-up reader ended early')))
    process.once('exit', () => child.kill('SIGKILL'))
    const stop = async () => {
      child.kill('SIGTERM')
      await exited
      return output.split('\n')[1]
    }
  })

export default async options => {
  const rate = Number(options.rate ?? 2000)
  const seconds = Number(options.seconds ?? 8)
  const parent = mkdtempSync(join(options.directory ?? tmpdir(), 'bench-'))
  const directory = join(parent, 'data')
  const commands = join(parent, 'commands')
  const fifos = Array.from({ length: 100 }, (_, index) => join(parent, `fifo-${index}`))
  process.once('exit', () => rmSync(parent, { recursive: true, force: true }))
  execFileSync('mkfifo', fifos)
  process.env.BENCH_DISTURB = commands
  process.env.BENCH_NODE_ARGUMENTS = `--import ${preload}`
  const resolver = await deadResolver()
  const bytes = Number(options.megabytes ?? 256) * MiB
  const gateway = await startGateway(directory, { settings: { 'disk.budget': `${(2 * bytes) / MiB + 256}MiB` } })
  await fill(gateway, bytes)

  /** Acks during `work`, or during `seconds` without any. */
  const stretch = async (name, work = () => sleep(seconds * 1000)) => {
    process.stderr.write(`${name}\n`)
    const load = await startLoad({ port: gateway.mqttPort, rate, devices: 100, payloadBytes: 120 })
    const startedMs = performance.now()
    const detail = await work()
    const tookMs = performance.now() - startedMs
    const { sent, acked, latencyMs } = await load.stop()
    if (acked !== sent) throw new Error(`${name}: ${sent} sent, ${acked} acknowledged`)
    return { name, seconds: tookMs / 1000, events: acked, 'p50 ms': latencyMs.p50, 'p99 ms': latencyMs.p99, detail }
  }
  let reader
  const count = Number(options.hashes ?? 1000)
  const server = `127.0.0.1:${resolver.address().port}`
  const during = [
    [`${count} scrypt hashes, one at a time`, () => disturb(commands, { kind: 'scrypt', count, atOnce: 1 }), true],
    [
      '100 lookups of a dead resolver',
      () => disturb(commands, { kind: 'resolve', count: 100, server, timeoutMs: seconds * 1000 }),
      true,
    ],
    [
      coldRead,
      async () => {
        await sleep(seconds * 1000)
        return reader.stop()
      },
      true,
    ],
    ['scrypt, four at once', () => disturb(commands, { kind: 'scrypt', count: count / 2, atOnce: 4 }), false],
    [
      '100 lookups that hold the pool',
      () => disturb(commands, { kind: 'lookup', fifos, heldMs: (seconds * 1000) / 25 }),
      false,
    ],
  ]
  await stretch('warm-up')
  const rows = []
  let before = await stretch('nothing')
  for (let left = Number(options.rounds ?? 3); left > 0; left--) {
    for (const [name, work, counts] of during) {
      if (name === coldRead) reader = await startCatchUp(gateway, directory, bytes)
      const beside = await stretch(name, work)
      const after = await stretch('nothing')
      const quietMs = (before['p99 ms'] + after['p99 ms']) / 2
      const { detail, ...figures } = beside
      rows.push({
        beside: name,
        seconds: figures.seconds,
        'p50 ms': figures['p50 ms'],
        'p99 ms': figures['p99 ms'],
        'quiet p99 ms': quietMs,
        ratio: figures['p99 ms'] / quietMs,
        bar: counts ? bar : Number.NaN,
        detail: detail ?? '',
      })
      before = after
    }
  }
  await gateway.end('SIGTERM')
  resolver.close()
  process.stdout.write(`${table(rows)}\n`)
  const ratiosOf = wanted => rows.filter(({ beside }) => beside === wanted).map(({ ratio }) => ratio)
  const checks = during
    .filter(([, , counts]) => counts)
    .map(([name]) => ({
      name: `p99 ack beside ${name} over that without`,
      value: median(ratiosOf(name)),
      atMost: bar,
    }))
  return { rows, checks }
}
