import type { Broker } from '../broker/broker.ts'
import type { ReadGate } from '../broker/read-gate.ts'
import type { RefusalLog } from '../broker/refusal-log.ts'
import type { SubscribeDenyRule } from '../config/subscribe-deny.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Random } from '../platform/random.ts'
import type { ResumedCommands } from './commands/resumed-commands.ts'
import type { Distribution } from './distribution.ts'
import type { EnhancedAuthentication } from './enhanced-authentication.ts'
import type { CloseReason } from './errors.ts'
import type { GroupWork } from './group-work.ts'
import type { Ingest } from './ingest.ts'
import type { MemoryShare } from './memory-share.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import type { PublishState } from './publish-state.ts'
import type { PublishStore } from './publish-store.ts'
import type { Replays } from './replays.ts'
import type { SessionLog } from './session-log.ts'
import type { Sessions } from './sessions.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { SystemTopics } from './system-topics.ts'
import type { Traffic } from './traffic.ts'
import type { Wills } from './will.ts'

export interface MqttLimits {
  readonly maxPacketBytes: number
  /** Receive Maximum, told to clients; of those that do not know it, what goes beyond is not read. */
  readonly maxInflight: number
  readonly maxSubscriptions: number
  readonly maxTopicLevels: number
  /** What one client may publish; it waits for more. */
  readonly publishesPerSecond: number
  readonly publishBytesPerSecond: number
  /** 0: any. */
  readonly keepAliveMaxMs: number
  readonly connectTimeoutMs: number
  /** `Infinity`: sessions do not end by themselves. */
  readonly sessionExpiryMaxMs: number
  /** What a client that comes back has missed and is given all the same; `Infinity`: as long as the log has it. */
  readonly sessionRetentionMs: number
  readonly sessionRetentionBytes: number
}

/** What connections and packet handlers work with. */
export interface MqttServices {
  readonly broker: Broker
  readonly ingest: Ingest
  readonly store: PublishStore
  readonly state: PublishState
  /** Acknowledgements that wait for their groups. */
  readonly work: GroupWork
  readonly sessions: Sessions
  readonly sessionLog: SessionLog
  readonly subscriptions: Subscriptions
  readonly subscriptionRefusals: RefusalLog<string>
  readonly replays: Replays
  readonly distribution: Distribution
  readonly commands: ResumedCommands
  readonly wills: Wills
  readonly systemTopics: SystemTopics
  readonly traffic: Traffic
  readonly authentication: EnhancedAuthentication | undefined
  readonly gate: ReadGate
  readonly outbound: OutboundLimit
  readonly aliasMemory: MemoryShare
  readonly closings: RefusalLog<CloseReason>
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
  readonly limits: MqttLimits
  readonly denied: readonly SubscribeDenyRule[]
  /** False: every publish goes through the store; for tests that compare the two ways. */
  readonly hotPath: boolean
}
