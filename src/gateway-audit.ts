import type { AuditPartition, AuditReport } from './broker/audit-report.ts'
import type { Broker } from './broker/broker.ts'
import { formatAddress } from './config/listen-url.ts'
import type { Settings } from './config/settings.ts'
import type { Metrics } from './core/metrics.ts'
import type { Platform } from './platform/platform.ts'
import type { UplinkAudit } from './uplink/audit.ts'
import type { Uplink } from './uplink/uplink.ts'

export interface GatewayAuditParts {
  readonly platform: Platform
  readonly settings: Settings
  readonly broker: Broker
  readonly metrics: Metrics
  readonly uplink: Uplink | undefined
  readonly gatewayId: string
  readonly startedMs: number
}

/** What became of every record of this gateway: `brooklet audit`. */
export const gatewayAudit = async (
  parts: GatewayAuditParts,
  ask: (uplink: Uplink) => Promise<UplinkAudit> = uplink => uplink.audit(),
): Promise<AuditReport> => {
  const { broker, metrics, uplink, gatewayId, platform, startedMs, settings } = parts
  const audited = uplink && (await ask(uplink))
  const fenced = uplink?.state === 'fenced' ? [`the uplink is fenced: ${uplink.lastError}`] : []
  const partitions: AuditPartition[] = []
  for (const { name, partitions: ids } of broker.topics.all()) {
    for (const [partition, id] of ids.entries()) {
      const found = audited?.partitions.get(id)
      const { logStart, highWatermark } = found ?? broker.offsets(id)
      const { uplink: sent = null, notes = [], unexplained = [], losses = [], acknowledged = [] } = found ?? {}
      const counts = { received: highWatermark, stored: highWatermark - logStart, gone: logStart }
      const doubts = sent === null ? [] : [...fenced, ...unexplained]
      const said = { notes, unexplained: doubts, losses, acknowledged }
      partitions.push({ topic: name, partition, ...counts, uplink: sent, ...said })
    }
  }
  partitions.sort((one, other) => one.topic.localeCompare(other.topic) || one.partition - other.partition)
  const central = audited === undefined ? null : { ...centralOf(settings), error: audited.error }
  const isExplained = partitions.every(({ unexplained }) => unexplained.length === 0)
  return {
    gateway: gatewayId,
    logId: broker.logId,
    verdict: !isExplained ? 'unexplained' : central?.error == null ? 'explained' : 'unchecked',
    central,
    mqtt: {
      sinceMs: Math.round(platform.clock.monotonicMs() - startedMs),
      received: metrics.count('mqttReceived'),
      stored: metrics.count('mqttStored'),
      refused: metrics.count('mqttRefused'),
    },
    partitions,
  }
}

const centralOf = (settings: Settings) => ({
  bootstrap: settings['uplink.bootstrap.servers'].map(({ host, port }) => formatAddress(host, port)).join(','),
  positionsTopic: settings['uplink.positions.topic'],
})
