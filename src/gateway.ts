import { openBroker } from './broker/open-broker.ts'
import type { LoadedSettings } from './config/load.ts'
import { shareOf } from './config/share.ts'
import { StartError } from './core/errors.ts'
import { MemoryBudget } from './core/memory-budget.ts'
import { Metrics } from './core/metrics.ts'
import { gatewayId, gatewayStatus } from './gateway-status.ts'
import { listenHttpFront } from './http/server.ts'
import { KafkaServer } from './kafka/server.ts'
import { watchClockQuality } from './mqtt/clock-quality.ts'
import { MqttFront } from './mqtt/front.ts'
import type { ListenAddress, Listener } from './platform/network.ts'
import { host } from './platform/node/host.ts'
import { listenHttp } from './platform/node/http-server.ts'
import { lockNodeDirectory } from './platform/node/lock.ts'
import { listenWebSocket } from './platform/node/stream-server.ts'
import type { Platform } from './platform/platform.ts'
import { MqttInflightView } from './state/mqtt-inflight.ts'
import { RetainedView } from './state/retained.ts'
import { openCommitLog } from './storage/commit-log.ts'

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
  const memory = new MemoryBudget(shareOf(settings['memory.budget'], host.memoryBytes()))
  metrics.gauge('memoryUsedBytes', () => memory.usedBytes)
  await makeDataDirectory(platform, directory)
  const lock = await lockNodeDirectory(directory)
  if (lock === undefined)
    throw new StartError(65, `data directory ${directory} is in use by another process; stop it, or set data.dir`)
  const budgetBytes = shareOf(settings['disk.budget'], await fileSystemOf(platform, directory))
  const viewBytes = viewBytesOf(budgetBytes)
  const store = await platform.openCheckpointStore(`${directory}/views`, viewBytes)
  const log = await openCommitLog(
    { ...platform, logger: logger.child('storage'), checkpoints: store },
    {
      directory,
      budgetBytes: budgetBytes - viewBytes,
      reserve: settings['disk.reserve'],
      commitMaxBytes: settings['commit.max.bytes'],
      lingerMs: settings['commit.linger.ms'],
      align: settings['commit.align'],
      maxMessageBytes: settings['max.message.bytes'],
      retention: { ms: settings['retention.ms'], bytes: settings['retention.bytes'] },
      gapsMax: settings['gaps.max'],
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
  for (const { scheme, address } of await mqtt.open()) {
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

const makeDataDirectory = async ({ files }: Platform, directory: string): Promise<void> => {
  try {
    await files.makeDirectory(directory)
  } catch (error) {
    throw new StartError(
      65,
      `data directory ${directory} cannot be made: ${(error as Error).message}; set data.dir to one that can`,
    )
  }
}

const bind = async (
  key: string,
  { host: name, port }: ListenAddress,
  listen: () => Promise<Listener>,
): Promise<Listener> => {
  try {
    return await listen()
  } catch (error) {
    const { code = String(error) } = error as { code?: string }
    const flag = `--${key.replaceAll('.', '-')}`
    throw new StartError(
      69,
      `${key}: cannot bind ${name}:${port} (${code}); choose another address with ${flag} HOST:PORT`,
    )
  }
}
