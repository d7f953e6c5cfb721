// What the uplink takes and gives, beside Kafka's own tools: one broker of Apache Kafka 4.3.1 on core 0, replication 1; the gateway and its peers in
// turn on core 1. Needs `test/interop/clients/install java mirror-maker`.
// Short: --records=200000 --runs=1. Options: --parts=drain --runs=3 --records=1000000 --set.KEY=VALUE
import { loadCentral } from './support/central-kafka.mjs'
import { table } from './support/machine.mjs'
import { drain } from './support/uplink-drain.mjs'

const parts = { drain }

export default async options => {
  const { missing, start } = await loadCentral()
  if (missing !== undefined) {
    process.stderr.write(`skipped: bench uplink needs Apache Kafka: ${missing}\n`)
    return { skipped: missing }
  }
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const given = { records: Number(options.records ?? 1_000_000), runs: Number(options.runs ?? 3), settings }
  const found = {}
  for (const name of options.parts?.split(',') ?? Object.keys(parts)) {
    const central = await start()
    try {
      found[name] = await parts[name](central, given)
      process.stdout.write(`${table(found[name].rows)}\n`)
    } finally {
      await central.close()
    }
  }
  return { settings, ...found, checks: Object.values(found).flatMap(({ checks }) => checks) }
}
