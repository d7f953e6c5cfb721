import { Command } from 'commander'
import { profileNamed, runFleet } from '../../firmware-sim/index.ts'
import { Cluster } from '../client/cluster.ts'
import { createTopic } from '../client/topic-admin.ts'
import { type LoadedSettings, loadSettings } from '../config/load.ts'
import { version } from '../core/version.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { openLogger } from '../platform/node/logger.ts'
import { nodeNetwork } from '../platform/node/network.ts'
import { nodePlatform } from '../platform/node/platform.ts'
import { DemoGroup } from './demo-group.ts'
import { demoIntroduction, demoLedger, demoProgress } from './demo-screen.ts'
import { wholeNumber } from './option-values.ts'

interface DemoFlags {
  readonly duration?: number
}

const maxDurationSeconds = 7 * 86_400

const fleetMembers = [
  ['env', 12],
  ['power', 4],
  ['vibration', 2],
  ['gps', 3],
  ['door', 2],
  ['soil', 2],
] as const
const topicsOfFleet = ['sensors', 'meters', 'vibration', 'positions', 'doors']
const defaultTopic = { partitions: -1, replicationFactor: -1, configs: new Map<string, string>() }

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
    .option('--duration <seconds>', 'stop by itself (default: at Ctrl-C)', wholeNumber(1, maxDurationSeconds))
    .action(async ({ duration }: DemoFlags) => {
      const stop = new AbortController()
      host.onStopSignal(() => stop.abort())
      if (duration !== undefined) nodeClock.after(duration * 1000, () => stop.abort())
      const directory = await host.makeTemporaryDirectory('brooklet-demo-')
      const logger = await openLogger({ level: 'warn', format: host.stderrIsTerminal ? 'pretty' : 'json' })
      const gateway = await startGateway(await demoSettings(directory), nodePlatform(logger))
      const isClean = await runDemo(gateway, directory, stop).finally(() => gateway.stop())
      process.exit(isClean ? 0 : 1)
    })

/** Runs until `stop` is aborted. True when the group has read every reading that was acknowledged, once and in order. */
const runDemo = async (gateway: Gateway, directory: string, stop: AbortController): Promise<boolean> => {
  const cluster = openCluster(gateway)
  try {
    // some sensors publish rarely; the group need not wait for them
    for (const name of topicsOfFleet) await createTopic(cluster, { ...defaultTopic, name })
    const group = new DemoGroup(cluster, topicsOfFleet)
    process.stdout.write(demoIntroduction(gateway, directory))
    const reading = group.run()
    reading.catch(() => stop.abort())
    const ledger = await runFleet({
      url: `mqtt://${gateway.addresses.mqtt}`,
      members: fleetMembers.map(([name, count]) => ({ profile: profileNamed(name)!, count })),
      readingsPerSecond: 2,
      signal: stop.signal,
      onProgress: demoProgress(gateway, group),
    })
    process.stdout.write('\nThe sensors have stopped; the group reads what is left.\n\n')
    group.finish()
    await reading
    process.stdout.write(demoLedger(ledger, group))
    return ledger.compare(group.receipts).isClean
  } finally {
    cluster.close()
  }
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
