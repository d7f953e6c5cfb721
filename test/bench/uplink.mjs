// What the uplink gives and takes, beside Kafka's own tools: one broker of Apache Kafka 4.3.1 on core 0, replication 1; the gateway and its peers in turn on core
// 1. Needs `test/interop/clients/install java mirror-maker`.
// Short: --records=200000 --runs=1. Options: --parts=drain,wire,steady,memory,long,dead --runs=3 --records=1000000 --many=10000000 --set.KEY=VALUE
import { loadCentral } from './support/central-kafka.mjs'
import { table } from './support/machine.mjs'
import { deadLink } from './support/uplink-dead-link.mjs'
import { drain } from './support/uplink-drain.mjs'
import { longLink } from './support/uplink-long-link.mjs'
import { memory } from './support/uplink-memory.mjs'
import { steady } from './support/uplink-steady.mjs'
import { wire } from './support/uplink-wire.mjs'

const parts = { drain, wire, steady, memory, long: longLink, dead: deadLink }

export default async options => {
  const { missing, start, FaultProxy } = await loadCentral()
  if (missing !== undefined) {
    process.stderr.write(`skipped: bench uplink needs Apache Kafka: ${missing}\n`)
    return { skipped: missing }
  }
  const settings = Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) => (key.startsWith('set.') ? [[key.slice(4), value]] : [])),
  )
  const given = {
    records: Number(options.records ?? 1_000_000),
    many: Number(options.many ?? 10_000_000),
    runs: Number(options.runs ?? 3),
    settings,
  }
  const found = {}
  for (const name of options.parts?.split(',') ?? Object.keys(parts)) {
    const link = await FaultProxy.start(0)
    const central = await start({ LINK: { protocol: 'PLAINTEXT', advertised: [link.address] } })
    link.targetPort = Number(central.bootstrapOf('LINK').split(':')[1])
    try {
      found[name] = await parts[name](central, { ...given, link })
      process.stdout.write(`${table(found[name].rows)}\n`)
    } finally {
      await central.close()
      await link.close()
    }
  }
  return { settings, ...found, checks: Object.values(found).flatMap(({ checks }) => checks) }
}
