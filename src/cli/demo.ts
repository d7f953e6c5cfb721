import { Command } from 'commander'
import { profileNamed, runFleet } from '../../firmware-sim/index.ts'
import { Cluster } from '../client/cluster.ts'
import { createTopic } from '../client/topic-admin.ts'
import type { LoadedSettings } from '../config/load.ts'
import { version } from '../core/version.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { sleep } from '../platform/clock.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { onKeys } from '../platform/node/keys.ts'
import { openLogger } from '../platform/node/logger.ts'
import { nodeNetwork } from '../platform/node/network.ts'
import { nodePlatform } from '../platform/node/platform.ts'
import { auditLines } from './audit-lines.ts'
import { DemoCentral } from './demo-central.ts'
import { DemoGroup } from './demo-group.ts'
import type { DemoLink } from './demo-link.ts'
import { DemoProgress, demoIntroduction, demoLedger, uplinkSums } from './demo-screen.ts'
import { demoSettings, freeListenUrl } from './demo-settings.ts'
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

/** A link that is back is used within this time. */
const longestPauseMs = 2_000
/** What waits at the end has so long to go up. */
const sendMs = 15_000

const gatewaySettings = async (directory: string, { address }: DemoLink): Promise<LoadedSettings> =>
  demoSettings(directory, [
    `mqtt.listen=${await freeListenUrl('mqtt', 1883)}`,
    `kafka.listen=${await freeListenUrl('plaintext', 9092)}`,
    `http.listen=${await freeListenUrl('http', 8190)}`,
    `uplink.bootstrap.servers=${address.host}:${address.port}`,
    `uplink.retry.backoff.max.ms=${longestPauseMs}`,
  ])

/** `brooklet demo`: gateway, central cluster, 25 sensors and a consumer group in one process, with a live table, a ledger and an audit at the end. */
export const demoCommand = (): Command =>
  new Command('demo')
    .summary('try it: a gateway, sensors and a cluster')
    .description('run a gateway with 25 simulated sensors, a consumer group and a central cluster, and watch')
    .option('--duration <seconds>', 'stop by itself (default: at Ctrl-C)', wholeNumber(1, maxDurationSeconds))
    .action(async ({ duration }: DemoFlags) => {
      const stop = new AbortController()
      host.onStopSignal(() => stop.abort())
      if (duration !== undefined) nodeClock.after(duration * 1000, () => stop.abort())
      const directory = await host.makeTemporaryDirectory('brooklet-demo-')
      // a cut link is no news here
      const logger = await openLogger({ level: 'error', format: host.stderrIsTerminal ? 'pretty' : 'json' })
      const platform = nodePlatform(logger)
      const central = await DemoCentral.start(`${directory}/central`, platform)
      const gateway = await startGateway(await gatewaySettings(`${directory}/gateway`, central.link), platform)
      const isClean = await runDemo({ gateway, central, directory, stop }).finally(() => gateway.stop())
      await central.stop()
      process.exit(isClean ? 0 : 1)
    })

interface DemoParts {
  readonly gateway: Gateway
  readonly central: DemoCentral
  readonly directory: string
  readonly stop: AbortController
}

/** Runs until `stop` is aborted. True when the group has read every reading that was acknowledged, once and in order, and all went up. */
const runDemo = async ({ gateway, central, directory, stop }: DemoParts): Promise<boolean> => {
  const cluster = openCluster(gateway)
  const { link } = central
  const endKeys = onKeys(key => {
    if (key === 'o') link.isCut ? link.restore() : link.cut()
  })
  try {
    // some sensors publish rarely; the group need not wait for them
    for (const name of topicsOfFleet) await createTopic(cluster, { ...defaultTopic, name })
    const group = new DemoGroup(cluster, topicsOfFleet)
    process.stdout.write(demoIntroduction(gateway, central, directory))
    const progress = new DemoProgress(gateway, group, link)
    const reading = group.run()
    reading.catch(() => stop.abort())
    const ledger = await runFleet({
      url: `mqtt://${gateway.addresses.mqtt}`,
      members: fleetMembers.map(([name, count]) => ({ profile: profileNamed(name)!, count })),
      readingsPerSecond: 2,
      signal: stop.signal,
      onProgress: at => void progress.show(at),
    })
    progress.end()
    link.restore()
    process.stdout.write('\nThe sensors have stopped; the group reads what is left, and what waits goes up.\n\n')
    group.finish()
    await reading
    await allSent(gateway)
    const audit = await gateway.status.audit()
    process.stdout.write(`${demoLedger(ledger, group)}\n${auditLines(audit, '')}`)
    return ledger.compare(group.receipts).isClean && audit.verdict === 'explained'
  } finally {
    endKeys()
    cluster.close()
  }
}

/** Nothing waits any more, or it has waited long enough. */
const allSent = async ({ status }: Gateway): Promise<void> => {
  const endMs = nodeClock.monotonicMs() + sendMs
  while (nodeClock.monotonicMs() < endMs && uplinkSums(await status.uplink()).waiting > 0) await sleep(nodeClock, 100)
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
