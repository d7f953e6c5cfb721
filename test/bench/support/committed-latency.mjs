// Reads a topic of the central cluster as it is committed, and times each record from the moment that its payload names. Bundled: node committed-latency.mjs
// '{"bootstrap":"127.0.0.1:9092","topic":"latency","partitions":4}'. Says "reading", and at the end of its input a line of JSON.
import { readTogether } from '../../../src/client/fetch-together.ts'
import { latestOffset, offsetFor } from '../../../src/client/partition-offsets.ts'
import { PartitionReader } from '../../../src/client/partition-reader.ts'
import { openCentral } from '../../support/central-records.ts'

const { bootstrap, topic, partitions } = JSON.parse(process.argv[2])
const cluster = openCentral(bootstrap)
const options = { maxWaitMs: 200, maxBytes: 4 << 20, readCommitted: true }
const readers = await Promise.all(
  Array.from({ length: partitions }, async (_, partition) => {
    const source = { topic, partition }
    return new PartitionReader(cluster, source, await offsetFor(cluster, source, latestOffset), options)
  }),
)
let isEnding = false
process.stdin.on('end', () => (isEnding = true)).resume()
process.stdout.write('reading\n')
const latenciesMs = []
for (let empty = 0; !(isEnding && empty > 3); ) {
  const records = await readTogether(cluster, readers)
  const now = process.hrtime.bigint()
  for (const { value } of records) latenciesMs.push(Number(now - value.readBigInt64BE()) / 1e6)
  empty = records.length === 0 ? empty + 1 : 0
}
latenciesMs.sort((one, other) => one - other)
const at = part => latenciesMs[Math.floor(latenciesMs.length * part)]
process.stdout.write(`${JSON.stringify({ records: latenciesMs.length, p50: at(0.5), p99: at(0.99) })}\n`)
process.exit(0)
