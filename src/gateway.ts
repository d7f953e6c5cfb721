import { ClockWatch } from './broker/clock-quality.ts'
import { cannotBind } from './broker/listeners/cannot-bind.ts'
import { Listeners } from './broker/listeners/listeners.ts'
import { openBroker } from './broker/open-broker.ts'
import { ClosingOrder } from './closing-order.ts'
import { formatAddress } from './config/listen-url.ts'
import { LiveSettings } from './config/live-settings.ts'
import type { LoadedSettings } from './config/load.ts'
import {
  cacheBytesOf,
  countedBytesOf,
  keptMemoryBytes,
  roomyMemoryBytes,
  tailBytesOf,
} from './config/memory-account.ts'
import { formatBytes } from './config/quantities.ts'
import { shareOf } from './config/share.ts'
import { slotBytesOf } from './config/slot-bytes.ts'
import { MemoryBudget } from './core/memory-budget.ts'
import { Metrics } from './core/metrics.ts'
import { checkStartBudget, diskBudgetOf, followDiskBudget } from './disk-budget.ts'
import { gatewayId, gatewayStatus } from './gateway-status.ts'
import { startWear } from './gateway-wear.ts'
import { listenHttpFront } from './http/server.ts'
import { KafkaServer } from './kafka/server.ts'
import { MqttFront } from './mqtt/front.ts'
import { openCertificates } from './open-certificates.ts'
import { openDownlink } from './open-downlink.ts'
import { followRates, openRemoteReads, openUplink, stayingTopics } from './open-uplink.ts'
import type { Listener } from './platform/network.ts'
import { host } from './platform/node/host.ts'
import { listenHttp } from './platform/node/http-server.ts'
import { listenNodeLocal } from './platform/node/local-socket.ts'
import { lockNodeDirectory } from './platform/node/lock.ts'
import { listenStream } from './platform/node/stream-server.ts'
import { askNodeTimeSync } from './platform/node/time-sync.ts'
import type { Platform } from './platform/platform.ts'
import { DownlinkView } from './state/downlink.ts'
import { MqttInflightView } from './state/mqtt-inflight.ts'
import { MqttOutboundView } from './state/mqtt-outbound.ts'
import { MqttSessionsView } from './state/mqtt-sessions.ts'
import { MqttSharesView } from './state/mqtt-shares.ts'
import { MqttWillsView } from './state/mqtt-wills.ts'
import { OffsetMapView } from './state/offset-map.ts'
import { RetainedView } from './state/retained.ts'
import { SparkplugView } from './state/sparkplug.ts'
import { UplinkView } from './state/uplink.ts'
import { serveBackups } from './storage/backup-service.ts'
import { CommitLinger } from './storage/commit-linger.ts'
import { ancestorsOf, claimDataDirectory, unusableDirectory } from './storage/data-directory.ts'
import type { Log } from './storage/log.ts'
import { openCommitLog } from './storage/open-commit-log.ts'
import { viewBytesFor } from './storage/options.ts'
import { rememberingStore, type WearMeter } from './storage/wear-meter.ts'
import { stayingReports } from './uplink/downlink/report-topics.ts'
import { rememberStart } from './uplink/known-starts.ts'
import type { Uplink } from './uplink/uplink.ts'

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
  /** Takes certificate files that have changed, now. */
  reload(): void
  /**
   * Stops accepting, finishes what is under way, syncs; takes at most `stopMs`. False: not everything could be finished (a device that does
   * not answer, a log that had failed), log lines say what. What was not acknowledged may then be lost, as at a crash.
   */
  stop(): Promise<boolean>
}

/** Time for a stop, and how much of it clients get to take what is under way. */
const stopMs = 4500
const drainMs = 2500

/**
 * Builds a gateway from the disk up and opens its listeners last. Rejects with `StartError` where the user must act, and with the reason of
 * `stopping` when that is aborted meanwhile. Whatever a start that fails had opened is closed again.
 */
export const startGateway = async (
  loaded: LoadedSettings,
  platform: Platform,
  stopping: AbortSignal = new AbortController().signal,
): Promise<Gateway> => {
  const closing = new ClosingOrder(platform.clock, platform.logger)
  try {
    const parts = await openParts(loaded, platform, closing, stopping)
    return { ...parts, stop: () => closing.close(stopMs) }
  } catch (error) {
    await closing.close(stopMs)
    // what the system refuses (no right, no space, a file in the way) is the user's to mend, like a directory in use
    throw unusableDirectory(loaded.settings['data.dir'], error)
  }
}

const openParts = async (
  given: LoadedSettings,
  platform: Platform,
  closing: ClosingOrder,
  stopping: AbortSignal,
): Promise<Omit<Gateway, 'stop'>> => {
  const { settings } = given
  const { clock, logger } = platform
  const directory = host.absolutePath(settings['data.dir'])
  const metrics = new Metrics()
  const memoryBytes = shareOf(settings['memory.budget'], host.memoryBytes())
  if (memoryBytes < roomyMemoryBytes) host.saveMemory()
  else host.collectSeldom()
  if (memoryBytes < keptMemoryBytes) {
    const budget = formatBytes(memoryBytes)
    logger.warn(
      { budget },
      'memory.budget is below what a busy gateway needs for itself, it takes about 160 MiB all the same',
    )
  }
  const certificates = await openCertificates(settings, { clock, logger: logger.child('tls'), metrics })
  closing.add('certificates', () => certificates.close())
  const memory = new MemoryBudget(countedBytesOf(memoryBytes))
  metrics.gauge('memoryUsedBytes', () => memory.usedBytes)
  const lock = await claimDataDirectory(platform.files, lockNodeDirectory, directory)
  closing.add('lock', () => lock.release())
  const live = await LiveSettings.open(platform.files, directory, given, logger)
  const { loaded } = live
  const { budgetBytes, totalBytes } = await diskBudgetOf(loaded, platform.files, directory)
  const viewBytes = viewBytesFor(budgetBytes)
  let meter: WearMeter | undefined
  const store = rememberingStore(await platform.openCheckpointStore(`${directory}/views`, viewBytes), () => meter)
  closing.add('views', () => store.close())
  stopping.throwIfAborted()
  const linger = new CommitLinger(settings['commit.linger.ms'])
  let rulesAreSet = (): void => {}
  const rulesSet = new Promise<void>(resolve => {
    rulesAreSet = resolve
  })
  const log = await openCommitLog(
    { ...platform, checkpoints: store },
    {
      directory,
      budgetBytes: budgetBytes - viewBytes,
      viewBudgetBytes: viewBytes,
      slotBytes: slotBytesOf(budgetBytes),
      reserve: settings['disk.reserve'],
      commitMaxBytes: settings['commit.max.bytes'],
      linger,
      relaxedSyncMs: settings['relaxed.sync.ms'],
      align: settings['commit.align'],
      maxMessageBytes: settings['max.message.bytes'],
      maxPacketBytes: settings['mqtt.max.packet.bytes'],
      retention: { ms: settings['retention.ms'], bytes: settings['retention.bytes'] },
      rulesSet,
      gapsMax: settings['gaps.max'],
      tailBytes: tailBytesOf(memory.limitBytes),
      cacheBytes: cacheBytesOf(memory.limitBytes),
      memory,
      metrics,
    },
    stopping,
  )
  closing.add('log', () => {
    linger.end()
    return closeLog(log)
  })
  const backups = await serveBackups(listenNodeLocal, directory, log, logger.child('backup'))
  closing.add('backups', () => backups.close())
  const logAge = (): number => log.logAge
  const wear = await startWear({ platform, settings, directory, linger, logAge, store, metrics })
  meter = wear.meter
  const assumed = settings['clock.quality']
  const clockWatch = new ClockWatch({ clock, ask: askNodeTimeSync, assumed, logAge, metrics, logger })
  await clockWatch.start()
  stopping.throwIfAborted()
  const retained = new RetainedView()
  const inflight = new MqttInflightView()
  const sessions = new MqttSessionsView()
  const outbound = new MqttOutboundView()
  const shares = new MqttSharesView()
  const uplinkView = new UplinkView()
  const offsetMap = new OffsetMapView()
  const downlinkView = new DownlinkView()
  let uplink: Uplink | undefined
  const wills = new MqttWillsView()
  const sparkplug = new SparkplugView()
  const opened = await openBroker({
    platform,
    loaded,
    log,
    store,
    memory,
    metrics,
    frontViews: [retained, inflight, sessions, outbound, shares, wills, sparkplug, uplinkView, downlinkView, offsetMap],
    upstreamThrough: (topic, partition) => uplink?.upstreamThrough(topic, partition),
    isGivenUp: (topic, partition, offset) => uplink?.isGivenUp(topic, partition, offset) ?? false,
    staysHere: stayingTopics(settings, gatewayId(loaded, log)),
  })
  const { broker, groups, state, topicConfigs } = opened
  rememberStart(state, uplinkView, log.incarnation, log.logEpoch)
  uplink = openUplink({
    ...platform,
    broker,
    state,
    settings: loaded.settings,
    view: uplinkView,
    offsetMap,
    clockQuality: () => clockWatch.quality(),
    incarnation: log.incarnation,
    ancestors: await ancestorsOf(platform.files, directory),
    gatewayId: gatewayId(loaded, log),
    logger: logger.child('uplink'),
  })
  const remoteParts = { ...platform, broker, state, settings, view: uplinkView, logger: logger.child('remote') }
  const remote = openRemoteReads(remoteParts, uplink)
  const downlink = openDownlink({
    ...platform,
    broker,
    state,
    settings,
    view: downlinkView,
    gatewayId: gatewayId(loaded, log),
    clockQuality: () => clockWatch.quality(),
    logger: logger.child('downlink'),
  })
  for (const stays of stayingReports(settings, gatewayId(loaded, log)))
    logger.warn({ ...stays }, 'reports of commands do not go up')
  checkStartBudget(loaded, budgetBytes, log)
  rulesAreSet()
  followDiskBudget(live, log, totalBytes, logger)
  if (uplink !== undefined) followRates(live, uplink)
  closing.add('checkpoints of views', () => state.checkpointAll())
  const closeLinks = closing.stage()
  closeLinks('uplink', () => uplink?.stop())
  closeLinks('downlink', () => downlink?.stop())
  closeLinks('remote reads', () => remote?.stop())
  stopping.throwIfAborted()
  const closeFront = closing.stage(drainMs)
  // members hear of the stop, and nothing waits for them
  closing.add('groups', () => opened.stop())
  const identityFor = certificates.identityFor.bind(certificates)
  const listeners = new Listeners({ listen: listenStream, settings, identityFor, clock })
  const mqtt = new MqttFront({
    broker,
    groups,
    state,
    retained,
    inflight,
    sessions,
    outbound,
    shares,
    wills,
    sparkplug,
    downlink: downlinkView,
    settings,
    gatewayId: gatewayId(loaded, log),
    clock,
    clockQuality: () => clockWatch.quality(),
    listeners,
    random: platform.random,
    logger,
    metrics,
  })
  const kafka = await KafkaServer.start({
    broker,
    groups,
    loaded,
    live,
    topicConfigs,
    hasKeyedRoute: topic => mqtt.routes.isKeyed(topic),
    remote,
    clock,
    logger: logger.child('kafka'),
    listeners,
  })
  closeFront('kafka', () => kafka.stop())
  const addresses: Record<string, string> = { mqtt: '', kafka: '', http: '' }
  const bound = (name: string, address: string): void => {
    addresses[name] = addresses[name] ? `${addresses[name]},${address}` : address
  }
  for (const [index, { scheme }] of settings['kafka.listen'].entries())
    bound(scheme === 'plaintext' ? 'kafka' : scheme, addressOf(kafka.addresses[index]!))
  const parts = {
    loaded,
    live,
    platform,
    log,
    memory,
    metrics,
    addresses,
    mqtt,
    wear,
    clockWatch,
    uplink,
    downlink,
    remote,
  }
  const status = gatewayStatus({ ...parts, ...opened })
  const httpParts = {
    listenHttp,
    status,
    metrics,
    logger: logger.child('http'),
    maxConnections: settings['http.connections.max'],
    requestTimeoutMs: settings['http.request.timeout.ms'],
  }
  for (const url of settings['http.listen']) {
    const tls = listeners.identityOf(url)
    const listener = await listenHttpFront(url, { ...httpParts, tls }).catch(error => {
      throw cannotBind(url, error)
    })
    closeFront('http', () => listener.close())
    bound(url.scheme, addressOf(listener.address))
  }
  stopping.throwIfAborted()
  // devices come last: what they send finds everything else at work
  closeFront('mqtt', () => mqtt.close())
  // at a stop the first thing: who waits for an ack gets it while fronts close
  closing.add('linger', () => linger.end())
  for (const { scheme, address } of await mqtt.open()) bound(scheme, address)
  uplink?.start()
  downlink?.start()
  certificates.watch()
  return { addresses: addresses as Gateway['addresses'], status, reload: () => void certificates.reload() }
}

/** A log that failed is closed too, but nobody should take the stop for a clean one. */
const closeLog = async (log: Log): Promise<void> => {
  const { writable } = log
  await log.close()
  if (!writable) throw new Error('writing to the log had failed before; what was not acknowledged is lost')
}

const addressOf = ({ host: name, port }: Listener['address']): string => formatAddress(name, port)
