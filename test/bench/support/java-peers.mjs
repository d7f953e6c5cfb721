// What the uplink is measured beside, on the gateway's core: Kafka's own producer and MirrorMaker 2.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gatewayCore, sleep } from './backlog-gateway.mjs'
import { memoryOf } from './machine.mjs'

const run = promisify(execFile)
const installed = fileURLToPath(new URL('../../interop/clients/installed/', import.meta.url))
const kafkaJars = `${installed}java/lib/*`
const mirrorJars = `${installed}mirror-maker/lib/`
const quiet = 'org.apache.logging.log4j.level=ERROR'
const pollMs = 100
const stalledMs = 120_000

/** Of one program of Kafka, as its scripts start it. */
const java = (jars, heap, ...words) => [
  'taskset',
  '-c',
  gatewayCore,
  'java',
  '-XX:+UseG1GC',
  `-Xmx${heap}`,
  `-D${quiet}`,
  '-cp',
  jars,
  ...words,
]

/** Sends `records` payloads of the file with `kafka-producer-perf-test`; records a second as it says itself. */
export const producerPerformance = async (bootstrap, topic, records, file, properties) => {
  const [command, ...words] = java(kafkaJars, '256m', 'org.apache.kafka.tools.ProducerPerformance')
  const given = Object.entries({ 'bootstrap.servers': bootstrap, ...properties }).map(
    ([key, value]) => `${key}=${value}`,
  )
  const fixed = ['--topic', topic, '--num-records', String(records), '--throughput', '-1', '--payload-file', file]
  const { stdout } = await run(command, [...words, ...fixed, '--producer-props', ...given])
  const found = /^(\d+) records sent, ([\d.]+) records\/sec/m.exec(stdout.trim().split('\n').at(-1) ?? '')
  if (Number(found?.[1]) !== records) throw new Error(`ProducerPerformance: ${stdout}`)
  return Number(found[2])
}

/** Sends what a topic has again, with Kafka's producer and these properties. */
export const copyTopic = async (from, topic, to, copy, records, properties) => {
  const source = fileURLToPath(new URL('CopyTopic.java', import.meta.url))
  const given = Object.entries(properties).map(([key, value]) => `${key}=${value}`)
  const [command, ...words] = java(kafkaJars, '1g', source, from, topic, to, copy, String(records), ...given)
  await run(command, words)
}

export const missingMirrorMaker = () =>
  existsSync(mirrorJars) ? undefined : 'run test/interop/clients/install mirror-maker'

/** Mirrors a topic of the gateway; `{ rate, peakMiB }`: records a second from its first to its last, and what it took. */
export const mirrorMaker = async (source, central, topic, records, properties) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const producer = Object.entries(properties).map(([key, value]) => `central.producer.${key} = ${value}`)
  const config = join(directory, 'mm2.properties')
  const lines = [
    'clusters = gateway, central',
    `gateway.bootstrap.servers = ${source}`,
    `central.bootstrap.servers = ${central.bootstrap}`,
    'gateway->central.enabled = true',
    'central->gateway.enabled = false',
    `gateway->central.topics = ${topic}`,
    'gateway->central.emit.heartbeats.enabled = false',
    'gateway->central.emit.checkpoints.enabled = false',
    'emit.heartbeats.enabled = false',
    'replication.factor = 1',
    'offset-syncs.topic.replication.factor = 1',
    'offset-syncs.topic.location = target',
    'config.storage.replication.factor = 1',
    'offset.storage.replication.factor = 1',
    'status.storage.replication.factor = 1',
    'sync.topic.configs.enabled = false',
    'sync.topic.acls.enabled = false',
    'refresh.topics.enabled = false',
    'tasks.max = 1',
    'dedicated.mode.enable.internal.rest = false',
    ...producer,
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const [command, ...words] = java(`${mirrorJars}*`, '2g', 'org.apache.kafka.connect.mirror.MirrorMaker', config)
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', text => (output = `${output}${text}`.slice(-8000)))
  const exited = new Promise(resolve => child.once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  try {
    const seen = async () => central.endOffsets(`gateway.${topic}`).catch(() => 0)
    const startedMs = performance.now()
    let begun
    for (;;) {
      const count = await seen()
      const nowMs = performance.now()
      if (count > 0) begun ??= { atMs: nowMs, count }
      if (count >= records) {
        const rate = ((count - begun.count) * 1000) / (nowMs - begun.atMs)
        return { rate, peakMiB: memoryOf(child.pid).peakMiB }
      }
      if (nowMs - startedMs > stalledMs || child.exitCode !== null)
        throw new Error(`MirrorMaker has brought ${count} of ${records}: ${output}`)
      await sleep(pollMs)
    }
  } finally {
    kill()
    await exited
    process.off('exit', kill)
    rmSync(directory, { recursive: true, force: true })
  }
}
