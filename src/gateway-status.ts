import type { Broker } from './broker/broker.ts'
import type { ClockWatch } from './broker/clock-quality.ts'
import type { DownlinkSummary } from './broker/downlink-summary.ts'
import type { GroupCoordinator } from './broker/groups/coordinator.ts'
import type { GroupDescription } from './broker/groups/groups.ts'
import type { Topic } from './broker/topics.ts'
import { readAssignment } from './client/group-protocol.ts'
import { describeTopic } from './config/describe-configs.ts'
import type { LiveSettings } from './config/live-settings.ts'
import type { LoadedSettings } from './config/load.ts'
import { shownSettings } from './config/shown-settings.ts'
import type { TopicConfigs } from './config/topic-configs.ts'
import type { MemoryBudget } from './core/memory-budget.ts'
import type { Metrics } from './core/metrics.ts'
import { version } from './core/version.ts'
import { DeepAudit } from './deep-audit.ts'
import { gatewayAudit } from './gateway-audit.ts'
import type { GatewayStatus, GroupDetails, Readiness, TopicDetails, TopicSummary, WearSummary } from './http/status.ts'
import type { MqttFront } from './mqtt/front.ts'
import { host } from './platform/node/host.ts'
import type { Platform } from './platform/platform.ts'
import type { Log } from './storage/log.ts'
import type { Downlink } from './uplink/downlink/downlink.ts'
import { downlinkTopics } from './uplink/downlink/downlink-status.ts'
import { stayingReports } from './uplink/downlink/report-topics.ts'
import type { RemoteReads } from './uplink/remote/remote-reads.ts'
import type { Uplink } from './uplink/uplink.ts'
import { uplinkOffsets, uplinkSummary } from './uplink/uplink-status.ts'

interface StatusParts {
  readonly platform: Platform
  readonly loaded: LoadedSettings
  readonly live: LiveSettings
  readonly log: Log
  readonly memory: MemoryBudget
  readonly metrics: Metrics
  readonly broker: Broker
  readonly groups: GroupCoordinator
  readonly topicConfigs: TopicConfigs
  readonly addresses: Readonly<Record<string, string>>
  readonly mqtt: MqttFront
  readonly wear: { readonly summary: () => WearSummary }
  readonly clockWatch: ClockWatch
  readonly uplink: Uplink | undefined
  readonly downlink: Downlink | undefined
  readonly remote: RemoteReads | undefined
}

/** What the HTTP API shows of a gateway. */
export const gatewayStatus = (parts: StatusParts): GatewayStatus => {
  const { broker, groups, loaded, log, memory, metrics, platform, addresses } = parts
  const startedMs = platform.clock.monotonicMs()
  const auditParts = { ...parts, settings: loaded.settings, gatewayId: gatewayId(loaded, log), startedMs }
  const deepAudit = new DeepAudit(auditParts)
  return {
    gateway: () => {
      const topics = [...broker.topics.all()]
      return {
        id: gatewayId(loaded, log),
        version,
        logId: log.logId,
        uptimeMs: Math.round(platform.clock.monotonicMs() - startedMs),
        listeners: addresses,
        memory: { residentBytes: host.residentBytes(), usedBytes: memory.usedBytes, budgetBytes: memory.limitBytes },
        disk: log.diskUsage(),
        gaps: { listed: log.gaps().length, summed: log.summedGaps() },
        wear: parts.wear.summary(),
        clock: parts.clockWatch.summary(),
        topics: topics.length,
        partitions: topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
      }
    },
    readiness: () => readiness(parts),
    metricsText: () => metrics.text(),
    topics: () => [...broker.topics.all()].map(topic => topicSummary(broker, topic)),
    topic: name => {
      const topic = broker.topics.find(name)
      return topic === undefined ? undefined : topicDetails(parts, topic)
    },
    groups: async () => {
      const listed = await groups.list()
      const described = await Promise.all(listed.map(({ groupId }) => groups.describe(groupId)))
      return listed.map(({ groupId, state, protocolType }, index) => ({
        id: groupId,
        state,
        protocolType,
        members: described[index]?.members.length ?? 0,
      }))
    },
    group: id => groupDetails(parts, id),
    clients: () => parts.mqtt.clients(),
    gaps: () => gapSummaries(parts),
    uplink: async () =>
      parts.uplink === undefined ? undefined : uplinkSummary(parts.uplink, broker, platform.clock, parts.remote),
    uplinkOffsets: topic => parts.uplink && uplinkOffsets(parts.uplink, topic),
    downlink: () => downlinkStatus(parts),
    audit: () => gatewayAudit(auditParts),
    deepAudit: ({ begin }) => (begin ? deepAudit.begin() : deepAudit.state()),
    downlinkControls: () => parts.downlink,
    uplinkControls: () => parts.uplink,
    settings: () => shownSettings(parts.live.loaded),
    route: mqttTopic => parts.mqtt.explain(mqttTopic),
  }
}

/** Undefined: nothing comes down, and no rule waits for devices. */
const downlinkStatus = ({ downlink, mqtt, platform, loaded, log }: StatusParts): DownlinkSummary | undefined => {
  const deliveries = mqtt.deviceDeliveries()
  const formerRules = mqtt.formerRules()
  if (downlink === undefined && deliveries.length + formerRules.length === 0) return undefined
  const topics = downlink === undefined ? [] : downlinkTopics(downlink, platform.clock)
  return {
    error: downlink?.lastError ?? null,
    takenError: downlink?.taken.trouble ?? null,
    topics,
    deliveries,
    formerRules,
    stayingReports: stayingReports(loaded.settings, gatewayId(loaded, log)),
  }
}

/** `gateway.id`, or the host's name and the first digits of the log id. */
export const gatewayId = ({ settings }: LoadedSettings, { logId }: Log): string =>
  settings['gateway.id'] || `${host.name}-${logId.slice(0, 6)}`

const readiness = ({ log, memory, uplink }: StatusParts): Readiness => {
  const damage = knownDamage(log)
  const fault = log.writable
    ? log.diskUsage().shortage
    : 'a write to the device failed: reads go on, restart the gateway to write again'
  const checks = [
    { name: 'log', ok: fault === null, detail: fault ?? 'writable' },
    {
      name: 'memory',
      ok: !memory.exhausted,
      detail: memory.exhausted
        ? 'memory.budget is out: sockets are not read until some of it is free'
        : 'within memory.budget',
    },
    // served all the same: what is lost does not come back by not serving the rest
    { name: 'damage', ok: true, detail: damage ?? 'none known' },
    // a gateway without its link is there to serve all the same
    ...(uplink === undefined ? [] : [{ name: 'uplink', ok: true, detail: uplinkDetail(uplink) }]),
  ]
  return { ready: checks.every(({ ok }) => ok), checks }
}

const uplinkDetail = ({ state, lastError }: Uplink): string =>
  lastError === undefined ? state : `${state}: ${lastError}`

/** Gaps by damage in what the log still holds; they are forgotten when eviction or deletion passes them. */
const knownDamage = (log: Log): string | undefined => {
  const partitions = new Set(log.partitions())
  const lost = log
    .gaps()
    .filter(gap => gap.reason === 'damage' && partitions.has(gap.partition))
    .filter(({ partition, last }) => last >= log.offsets(partition).logStart)
  if (lost.length === 0) return undefined
  const records = lost.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  return `degraded: ${records} offsets in ${lost.length} ranges are lost to damage on the device; see /api/v1/gaps and brooklet log verify`
}

const topicSummary = (broker: Broker, { name, id, partitions }: Topic): TopicSummary => {
  let records = 0
  let sizeBytes = 0
  for (const partition of partitions) {
    const { logStart, highWatermark } = broker.offsets(partition)
    records += highWatermark - logStart
    sizeBytes += broker.sizeBytes(partition)
  }
  return { name, id, partitions: partitions.length, records, sizeBytes }
}

const topicDetails = (
  { broker, topicConfigs, loaded }: StatusParts,
  { name, id, partitions, configs }: Topic,
): TopicDetails => ({
  name,
  id,
  partitions: partitions.map((partition, index) => {
    const { logStart, highWatermark, logEnd } = broker.offsets(partition)
    return {
      partition: index,
      logStartOffset: logStart,
      highWatermark,
      logEndOffset: logEnd,
      sizeBytes: broker.sizeBytes(partition),
    }
  }),
  configs: describeTopic(topicConfigs, configs, loaded).map(({ name: key, value, source }) => ({
    name: key,
    value,
    source,
  })),
})

const groupDetails = async ({ broker, groups }: StatusParts, id: string): Promise<GroupDetails | undefined> => {
  const group = await groups.describe(id)
  if (group === undefined) return undefined
  const committed: readonly GroupPosition[] = [...groups.committedOffsets(id)]
  const offsets = [...committed, ...uncommitted(group, committed)].map(({ topic, partition, offset }) => {
    const partitionId = broker.topics.find(topic)?.partitions[partition]
    const highWatermark = partitionId === undefined ? -1 : broker.offsets(partitionId).highWatermark
    const lag = partitionId === undefined || offset === null ? null : Math.max(0, highWatermark - offset)
    return { topic, partition, committedOffset: offset, highWatermark, lag }
  })
  const { state, protocolType, protocolName, generation } = group
  const members = group.members.map(({ memberId, groupInstanceId, clientId, clientHost }) => ({
    memberId,
    instanceId: groupInstanceId,
    clientId,
    clientHost,
  }))
  return { id, state, protocolType, protocol: protocolName, generation, members, offsets }
}

interface GroupPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number | null
}

/** What members of a consumer group have and the group has committed nothing of. */
const uncommitted = (group: GroupDescription, committed: readonly GroupPosition[]): GroupPosition[] => {
  if (group.protocolType !== 'consumer') return []
  const known = new Set(committed.map(({ topic, partition }) => `${partition}/${topic}`))
  return group.members
    .flatMap(({ assignment }) => [...readAssignment(assignment)])
    .flatMap(([topic, partitions]) => partitions.map(partition => ({ topic, partition, offset: null })))
    .filter(({ topic, partition }) => !known.has(`${partition}/${topic}`))
}

const gapSummaries = ({ broker, log, uplink }: StatusParts) => {
  const places = new Map<number, { topic: string; partition: number }>()
  for (const { name, partitions } of broker.topics.all()) {
    for (const [partition, id] of partitions.entries()) places.set(id, { topic: name, partition })
  }
  const lost = log.gaps().map(({ partition: id, first, last, reason, logAge }) => ({
    topic: places.get(id)?.topic ?? null,
    partition: places.get(id)?.partition ?? id,
    firstOffset: first,
    lastOffset: last,
    records: last - first + 1,
    reason,
    logAgeSeconds: logAge,
    agoSeconds: Math.max(0, log.logAge - logAge),
  }))
  const skipped = [...(uplink?.skipped() ?? [])].map(span => ({
    ...span,
    records: span.last - span.first + 1,
    reason: 'skipped',
  }))
  const leftOut = [...(uplink?.leftOut() ?? [])]
  const unsent = [...skipped, ...leftOut].map(({ topic, partition, first, last, records, reason, logAge }) => ({
    topic,
    partition,
    firstOffset: first,
    lastOffset: last,
    records,
    reason,
    logAgeSeconds: logAge,
    agoSeconds: Math.max(0, log.logAge - logAge),
  }))
  return [...lost, ...unsent]
}
