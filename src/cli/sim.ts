import { Command } from 'commander'
import { profiles, scenarios } from '../../firmware-sim/index.ts'
import type { SimOptions } from '../../firmware-sim/options.ts'
import { runSim } from '../../firmware-sim/run.ts'

const exitUsage = 64

const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

/** `brooklet sim`: a fleet of simulated devices. All that it does is in firmware-sim/run.ts. */
export const simCommand = (): Command =>
  new Command('sim')
    .summary('run a fleet of simulated devices')
    .description('run a fleet of simulated devices against a gateway, and print what became of every reading')
    .option('--url <url>', 'gateway, mqtt[s]://[user:password@]host[:port]', 'mqtt://127.0.0.1:1883')
    .option('--profile <name>', `kind of device: ${profiles.map(profile => profile.name).join(', ')}`, 'env')
    .option('--count <n>', 'number of devices', '10')
    .option('--mix <list>', 'several kinds instead, as env=10,power=5')
    .option('--rate <n>', 'readings a second of each device (default: as its profile says)')
    .option('--seed <n>', 'same seed, same --start and same rate: same readings', '1')
    .option('--start <time>', 'device time at the start, ISO 8601 (default: now)')
    .option('--duration <time>', 'end after 250ms, 30s, 5m, 2h (default: Ctrl-C)')
    .option('--qos <n>', '0, 1 or 2 (default: as the profile says)')
    .option('--encoding <name>', 'cbor or json (default: as the profile says)')
    .option('--site <name>', 'site level of the MQTT topics', 'lab')
    .option(
      '--scenario <name>',
      `link: ${scenarios.map(({ name, describe }) => `${name} (${describe})`).join('; ')}`,
      'steady',
    )
    .option('--drop <time@start>', 'break all links, as 10s@30s; may be repeated', collect)
    .option('--loss <share>', 'share of TCP segments lost, as 2%')
    .option('--latency <time>', 'added to each direction, as 100ms')
    .option('--connect-rate <n>', 'first connects a second', '500')
    .option('--ledger <file>', 'write the ledger as JSON with the sequence numbers')
    .option('--json', 'print the ledger as JSON')
    .exitOverride(error => process.exit(error.exitCode === 0 ? 0 : exitUsage))
    .action((options: SimOptions) => runSim(options))
