import type { AuditReport, DeepAuditState } from '../broker/audit-report.ts'
import type { ClockSummary } from '../broker/clock-quality.ts'
import type { DownlinkControls, DownlinkSummary } from '../broker/downlink-summary.ts'
import type { RouteExplanation } from '../broker/route-explanation.ts'
import type { UplinkControls, UplinkOffsets, UplinkSummary } from '../broker/uplink-summary.ts'

/** What the HTTP front shows, and the little that it changes. The composition root implements it; what is shown is plain and ready for JSON. */
export interface GatewayStatus {
  gateway(): GatewayOverview
  /** Cheap: called every few seconds by supervisors. */
  readiness(): Readiness
  /** Prometheus' text format. */
  metricsText(): string
  topics(): readonly TopicSummary[]
  /** Undefined when there is no such topic. */
  topic(name: string): TopicDetails | undefined
  groups(): Promise<readonly GroupSummary[]>
  group(id: string): Promise<GroupDetails | undefined>
  clients(): readonly MqttClient[]
  gaps(): readonly GapSummary[]
  /** Asks the central cluster, where there is an uplink. */
  audit(): Promise<AuditReport>
  /** The audit that reads back what stands upstream; begins one where that is asked. */
  deepAudit(options: { readonly begin: boolean }): DeepAuditState
  /** Undefined when there is no uplink. */
  uplink(): Promise<UplinkSummary | undefined>
  /** Undefined when there is no uplink, or the topic does not go up. */
  uplinkOffsets(topic: string): readonly UplinkOffsets[] | undefined
  /** Undefined when nothing comes down and no deliver rule waits for devices. */
  downlink(): DownlinkSummary | undefined
  /** Undefined when nothing comes down. */
  downlinkControls(): DownlinkControls | undefined
  /** Undefined when there is no uplink. */
  uplinkControls(): UplinkControls | undefined
  /** Secrets already replaced: see `shownSettings`. */
  settings(): readonly SettingValue[]
  /** Where a publish to this MQTT topic would go. */
  route(mqttTopic: string): RouteExplanation
}

export interface GatewayOverview {
  readonly id: string
  readonly version: string
  /** 32 hex digits; it is the Kafka cluster id too, in another form. */
  readonly logId: string
  readonly uptimeMs: number
  /** Address bound by front: `{"mqtt":"127.0.0.1:1883", ...}`. */
  readonly listeners: Readonly<Record<string, string>>
  readonly memory: { readonly residentBytes: number; readonly usedBytes: number; readonly budgetBytes: number }
  readonly disk: {
    readonly logBytes: number
    readonly viewBytes: number
    readonly budgetBytes: number
    /** Days that the budget holds at the present rate; null while there is too little data to tell. */
    readonly daysHeld: number | null
    /** Why topic data is not taken in at the moment, and what helps; null: it is. */
    readonly shortage: string | null
  }
  /** Records that left the log before everybody had read them; the list is at `/api/v1/gaps`. */
  readonly gaps: {
    readonly listed: number
    /** Older ones, past `gaps.max`, of which only the sum is kept. */
    readonly summed: { readonly count: number; readonly records: number }
  }
  readonly wear: WearSummary
  readonly clock: ClockSummary
  readonly topics: number
  readonly partitions: number
}

/** Bytes written. Null where nobody counts; never 0 for that. */
export interface WearSummary {
  readonly sinceStart: {
    /** By all programs, to the block device under `data.dir`. */
    readonly deviceBytes: number | null
    /** By the gateway as Linux counts it, whole folios of the page cache: an upper bound, often far too high. */
    readonly processBytes: number | null
    /** To the log, padding included. */
    readonly logBytes: number
    readonly records: number
  }
  readonly hour: WearRates
  readonly day: WearRates
  /** Linger in effect. */
  readonly lingerMs: number
  /** `wear.budget.per.day`; null: none. */
  readonly budgetBytesPerDay: number | null
  /** More is written than the budget allows although the linger is at its longest. */
  readonly budgetExceeded: boolean
  /** Years: until the card was written in full `cycles` times at the present rate; null while that is unknown. */
  readonly card: { readonly bytes: number; readonly cycles: number; readonly years: number | null }
}

/** Of the last hour or day. */
export interface WearRates {
  /** Of it that the gateway ran. */
  readonly seconds: number
  readonly deviceBytes: number | null
  readonly logBytes: number
  readonly records: number
  readonly deviceBytesPerDay: number | null
  readonly deviceBytesPerEvent: number | null
}

/** Ready when every check is; `checks` names each with one line on why not. */
export interface Readiness {
  readonly ready: boolean
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
}

export interface TopicSummary {
  readonly name: string
  readonly id: string
  readonly partitions: number
  /** Records between log start and high watermark, over all partitions. */
  readonly records: number
  readonly sizeBytes: number
}

export interface TopicDetails {
  readonly name: string
  readonly id: string
  readonly partitions: readonly {
    readonly partition: number
    readonly logStartOffset: number
    readonly highWatermark: number
    readonly logEndOffset: number
    readonly sizeBytes: number
  }[]
  readonly configs: readonly { readonly name: string; readonly value: string | null; readonly source: string }[]
}

export interface GroupSummary {
  readonly id: string
  readonly state: string
  readonly members: number
  readonly protocolType: string
}

export interface GroupDetails {
  readonly id: string
  readonly state: string
  readonly protocolType: string
  readonly protocol: string
  readonly generation: number
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly clientId: string
    readonly clientHost: string
  }[]
  readonly offsets: readonly {
    readonly topic: string
    readonly partition: number
    /** Null: a member has the partition, and the group has committed nothing of it yet. */
    readonly committedOffset: number | null
    readonly highWatermark: number
    /** Records not read yet; null when nothing is committed or the partition is gone. */
    readonly lag: number | null
  }[]
}

export interface MqttClient {
  readonly clientId: string
  readonly address: string
  readonly protocolVersion: number
  readonly connectedMs: number
  readonly subscriptions: number
}

export interface GapSummary {
  readonly topic: string | null
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** Of these offsets so many are concerned: fewer than all only where the uplink thinned. */
  readonly records: number
  readonly reason: string
  /** Seconds of log life at which it was found or made. */
  readonly logAgeSeconds: number
  /** Seconds of log life since then: time without power does not count. */
  readonly agoSeconds: number
}

export interface SettingValue {
  readonly key: string
  readonly value: string | null
  readonly origin: string
}
