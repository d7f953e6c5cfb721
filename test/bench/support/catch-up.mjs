// Reads a topic from its beginning again and again, each time past the page cache, until it is ended: node catch-up.mjs '{"broker":...,"topic":...,
// "partitions":16,"bytes":...,"directory":...}'. Prints `reading` with the first batch and, at SIGTERM, the MiB of values that it read a second.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'

const run = promisify(execFile)
const { broker, topic, partitions, bytes, directory } = JSON.parse(process.argv[2])

const dropFromCache = async () => {
  for (const name of readdirSync(join(directory, 'log')).filter(name => name.endsWith('.slot'))) {
    await run('dd', [`of=${join(directory, 'log', name)}`, 'oflag=nocache', 'conv=notrunc', 'count=0'])
  }
}

let read = 0
let startedMs
process.once('SIGTERM', () => {
  process.stdout.write(`${(read / 2 ** 20 / ((performance.now() - startedMs) / 1000)).toFixed(0)} MiB/s\n`)
  process.exit()
})
await dropFromCache()
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING, requestTimeout: 60_000 })
const consumer = kafka.consumer({ groupId: `catch-up-${process.pid}` })
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
let due = bytes
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    if (startedMs === undefined) process.stdout.write('reading\n')
    startedMs ??= performance.now()
    for (const { value } of batch.messages) read += value.length
    if (read < due) return
    due += bytes
    await dropFromCache()
    for (let partition = 0; partition < partitions; partition++) consumer.seek({ topic, partition, offset: '0' })
  },
})
