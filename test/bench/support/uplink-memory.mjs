// Resident memory while a backlog goes up, of a gateway that has done nothing before.
import { startWithBacklog } from './backlog-gateway.mjs'

export const memory = async (central, { settings, many = 10_000_000 }) => {
  const rows = []
  for (const records of [100_000, many]) {
    const gateway = await startWithBacklog(central.bootstrap, records, {
      settings: { 'uplink.rename': `memory-${records}-{topic}`, ...settings },
      restarted: true,
    })
    try {
      const idle = gateway.memory().rssMiB
      const seconds = await gateway.drain()
      rows.push({
        records,
        'records/s': records / seconds,
        'idle RSS MiB': idle,
        'peak RSS MiB': gateway.memory().peakMiB,
      })
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`)
    } finally {
      await gateway.end()
    }
  }
  const [few, all] = rows
  const checks = [
    {
      name: 'peak RSS of 10 M records over that of 100,000, MiB',
      value: all['peak RSS MiB'] - few['peak RSS MiB'],
      atMost: 10,
    },
    {
      name: 'peak RSS over that of the idle gateway, MiB',
      value: all['peak RSS MiB'] - all['idle RSS MiB'],
      atMost: 64,
    },
  ]
  return { rows, checks }
}
