import { Command } from 'commander'
import { type Ledger, ledgerTable, type Progress, profileNamed, runFleet } from '../../firmware-sim/index.ts'
import { Cluster } from '../client/cluster.ts'
import { type LoadedSettings, loadSettings } from '../config/load.ts'
import { version } from '../core/version.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { openLogger } from '../platform/node/logger.ts'
import { nodeNetwork } from '../platform/node/network.ts'
import { nodePlatform } from '../platform/node/platform.ts'
import { DemoGroup } from './demo-group.ts'
import { demoScreen } from './demo-screen.ts'

interface DemoFlags {
  readonly duration?: string
}

const fleetMembers = [
  ['env', 12],
  ['power', 4],
  ['vibration', 2],
  ['gps', 3],
  ['door', 2],
  ['soil', 2],
] as const
const topicsOfFleet = ['sensors', 'meters', 'vibration', 'positions', 'doors']

/** The default port, or a free one when somebody has it. */
const freeListenUrl = async (scheme: string, port: number): Promise<string> => {
  try {
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port }, connection => connection.destroy())
    await listener.close()
    return `${scheme}://127.0.0.1:${port}`
  } catch {
    return `${scheme}://127.0.0.1:0`
  }
}

const demoSettings = async (directory: string): Promise<LoadedSettings> =>
  loadSettings({
    environment: {},
    flags: new Map(),
    set: [
      `data.dir=${directory}`,
      'disk.budget=256MiB',
      'log.level=warn',
      'group.initial.rebalance.delay.ms=0',
      `mqtt.listen=${await freeListenUrl('mqtt', 1883)}`,
      `kafka.listen=${await freeListenUrl('plaintext', 9092)}`,
      `http.listen=${await freeListenUrl('http', 8190)}`,
    ],
    memoryBytes: host.memoryBytes(),
    diskBytes: host.fileSystemBytes,
  })

/** `brooklet demo`: gateway, 25 sensors and a consumer group in one process, with a live table and a ledger at the end. */
export const demoCommand = (): Command =>
  new Command('demo')
    .description('run a gateway with 25 simulated sensors and a consumer group, and watch')
    .option('--duration <seconds>', 'stop by itself')
    .action(async ({ duration }: DemoFlags) => {
      const directory = await host.makeTemporaryDirectory('brooklet-demo-')
      const stop = new AbortController()
      host.onStopSignal(() => stop.abort())
      if (duration !== undefined) nodeClock.after(Number(duration) * 1000, () => stop.abort())
      const logger = await openLogger({ level: 'warn', format: host.stderrIsTerminal ? 'pretty' : 'json' })
      const settings = await demoSettings(directory)
      const gateway = await startGateway(settings, nodePlatform(logger))
      const clean = await runDemo(gateway, directory, stop.signal)
      await gateway.stop()
      await nodeFiles.removeDirectory(directory)
      process.exit(clean ? 0 : 1)
    })

const runDemo = async (gateway: Gateway, directory: string, signal: AbortSignal): Promise<boolean> => {
  const cluster = openCluster(gateway)
  const group = new DemoGroup(cluster, topicsOfFleet)
  const screen = demoScreen(gateway, directory, group)
  const reading = group.run()
  const ledger = await runFleet({
    url: `mqtt://${gateway.addresses.mqtt}`,
    members: fleetMembers.map(([name, count]) => ({ profile: profileNamed(name)!, count })),
    readingsPerSecond: 2,
    signal,
    onProgress: (progress: Progress) => screen.update(progress),
  })
  screen.end('the sensors have stopped; the group reads what is left')
  await group.finish()
  await reading
  cluster.close()
  return printLedger(ledger, group)
}

const openCluster = (gateway: Gateway): Cluster => {
  const [hostName, port] = splitAddress(gateway.addresses.kafka)
  return new Cluster(nodeNetwork, nodeClock, {
    bootstrap: [{ host: hostName, port }],
    clientId: 'demo',
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 30_000,
    softwareVersion: version,
  })
}

const splitAddress = (address: string): [string, number] => {
  const colon = address.lastIndexOf(':')
  return [address.slice(0, colon), Number(address.slice(colon + 1))]
}

const printLedger = (ledger: Ledger, group: DemoGroup): boolean => {
  const compared = ledger.compare(group.receipts)
  const { missingAcked, unexplainedDuplicates, orderViolations, received } = compared
  process.stdout.write(`\n${ledgerTable(ledger)}\n`)
  process.stdout.write(
    `consumer group demo: ${received} read, ${missingAcked} acknowledged ones missing, ` +
      `${unexplainedDuplicates} read twice, ${orderViolations} out of order\n`,
  )
  for (const example of compared.examples) process.stdout.write(`  ${example}\n`)
  return compared.isClean
}
