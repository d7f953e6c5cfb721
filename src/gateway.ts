import { openBroker } from './broker/open-broker.ts'
import type { LoadedSettings } from './config/load.ts'
import { cacheBytesOf, countedBytesOf, tailBytesOf } from './config/memory-account.ts'
import { shareOf } from './config/share.ts'
import { slotBytesOf } from './config/slot-bytes.ts'
import { StartError } from './core/errors.ts'
import { MemoryBudget } from './core/memory-budget.ts'
import { Metrics } from './core/metrics.ts'
import { gatewayId, gatewayStatus } from './gateway-status.ts'
import { listenHttpFront } from './http/server.ts'
import { KafkaServer } from './kafka/server.ts'
import { watchClockQuality } from './mqtt/clock-quality.ts'
import { type MqttAddress, MqttFront } from './mqtt/front.ts'
import type { DirectoryLock } from './platform/lock.ts'
import type { ListenAddress, Listener } from './platform/network.ts'
import { host } from './platform/node/host.ts'
import { listenHttp } from './platform/node/http-server.ts'
import { lockNodeDirectory } from './platform/node/lock.ts'
import { listenWebSocket } from './platform/node/stream-server.ts'
import type { Platform } from './platform/platform.ts'
import { MqttInflightView } from './state/mqtt-inflight.ts'
import { RetainedView } from './state/retained.ts'
import { claimDataDirectory } from './storage/data-directory.ts'
import { openCommitLog } from './storage/open-commit-log.ts'

/** Addresses bound, `host:port`; the words of the ready line. */
export interface GatewayAddresses {
  readonly mqtt: string
  readonly kafka: string
  readonly http: string
  readonly [scheme: string]: string
}

export interface Gateway {
  readonly addresses: GatewayAddresses
  readonly status: ReturnType<typeof gatewayStatus>
  /** Stops accepting, finishes what is under way, syncs. */
  stop(): Promise<void>
}

const fileSystemOf = async (platform: Platform, directory: string): Promise<number> =>
  (await platform.files.space(directory)).totalBytes

const viewBytesOf = (budgetBytes: number): number => Math.max(8 << 20, Math.min(64 << 20, Math.floor(budgetBytes / 16)))

/** Builds a gateway from the disk up and opens its listeners last. Rejects with `StartError` where the user must act. */
export const startGateway = async (loaded: LoadedSettings, platform: Platform): Promise<Gateway> => {
  const { settings } = loaded
  const { clock, network, logger } = platform
  const directory = host.absolutePath(settings['data.dir'])
  const metrics = new Metrics()
  const memory = new MemoryBudget(countedBytesOf(shareOf(settings['memory.budget'], host.memoryBytes())))
  metrics.gauge('memoryUsedBytes', () => memory.usedBytes)
  const lock = await claimedDirectory(platform, directory)
  const budgetBytes = shareOf(settings['disk.budget'], await fileSystemOf(platform, directory))
  const viewBytes = viewBytesOf(budgetBytes)
  const store = await platform.openCheckpointStore(`${directory}/views`, viewBytes)
  const log = await openCommitLog(
    { ...platform, checkpoints: store },
    {
      directory,
      budgetBytes: budgetBytes - viewBytes,
      viewBudgetBytes: viewBytes,
      slotBytes: slotBytesOf(budgetBytes),
      reserve: settings['disk.reserve'],
      commitMaxBytes: settings['commit.max.bytes'],
      lingerMs: settings['commit.linger.ms'],
      align: settings['commit.align'],
      maxMessageBytes: settings['max.message.bytes'],
      maxPacketBytes: settings['mqtt.max.packet.bytes'],
      retention: { ms: settings['retention.ms'], bytes: settings['retention.bytes'] },
      gapsMax: settings['gaps.max'],
      tailBytes: tailBytesOf(memory.limitBytes),
      cacheBytes: cacheBytesOf(memory.limitBytes),
      memory,
      metrics,
    },
  )
  const retained = new RetainedView()
  const inflight = new MqttInflightView()
  const opened = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews: [retained, inflight] })
  const { broker, groups, state, topicConfigs } = opened
  const mqtt = new MqttFront({
    broker,
    groups,
    state,
    retained,
    inflight,
    settings,
    gatewayId: gatewayId(loaded, log),
    clock,
    clockQuality: await watchClockQuality(platform.files, clock),
    network,
    listenWebSocket,
    logger,
    metrics,
  })
  const kafka = await KafkaServer.start({
    broker,
    groups,
    loaded,
    topicConfigs,
    hasKeyedRoute: topic => mqtt.routes.isKeyed(topic),
    clock,
    logger: logger.child('kafka'),
    network,
  })
  const addresses: Record<string, string> = { mqtt: '', kafka: joined(kafka.addresses), http: '' }
  const status = gatewayStatus({ loaded, platform, log, memory, metrics, addresses, mqtt, ...opened })
  const httpParts = {
    listenHttp,
    status,
    metrics,
    logger: logger.child('http'),
    maxConnections: settings['http.connections.max'],
    requestTimeoutMs: settings['http.request.timeout.ms'],
  }
  const httpListeners: Listener[] = []
  for (const url of settings['http.listen']) {
    httpListeners.push(await bind('http.listen', url, () => listenHttpFront(url, httpParts)))
  }
  addresses['http'] = joined(httpListeners.map(({ address }) => address))
  // devices come last: what they send finds everything else at work
  for (const { scheme, address } of await openMqtt(mqtt)) {
    addresses[scheme] = addresses[scheme] ? `${addresses[scheme]},${address}` : address
  }
  return {
    addresses: addresses as Gateway['addresses'],
    status,
    async stop() {
      groups.stop()
      await Promise.all([mqtt.close(), kafka.stop(), ...httpListeners.map(listener => listener.close())])
      await state.checkpointAll()
      await log.close()
      await store.close()
      await lock.release()
    },
  }
}

const joined = (addresses: readonly ListenAddress[]): string =>
  addresses.map(({ host: name, port }) => (name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`)).join(',')

/** What the system refuses (no right, no space, a file in the way) is the user's to mend, like a directory in use. */
const claimedDirectory = async ({ files }: Platform, directory: string): Promise<DirectoryLock> => {
  try {
    return await claimDataDirectory(files, lockNodeDirectory, directory)
  } catch (error) {
    if (error instanceof StartError || !isSystemError(error)) throw error
    throw new StartError(
      65,
      `data directory ${directory} cannot be used: ${error.message}; set data.dir to one that can`,
    )
  }
}

const isSystemError = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && typeof (error as { code?: unknown }).code === 'string'

const bind = async (
  key: string,
  { host: name, port }: ListenAddress,
  listen: () => Promise<Listener>,
): Promise<Listener> => {
  try {
    return await listen()
  } catch (error) {
    if (!isSystemError(error)) throw error
    const { code } = error
    const flag = `--${key.replaceAll('.', '-')}`
    throw new StartError(
      69,
      `${key}: cannot bind ${name}:${port} (${code}); choose another address with ${flag} HOST:PORT`,
    )
  }
}

const openMqtt = async (mqtt: MqttFront): Promise<readonly MqttAddress[]> => {
  try {
    return await mqtt.open()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new StartError(69, `mqtt.listen: ${error.message}; choose another address with --mqtt-listen HOST:PORT`)
  }
}
