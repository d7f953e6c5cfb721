import type { Broker } from '../broker/broker.ts'
import type { Groups } from '../broker/groups/groups.ts'
import type { RemoteLog } from '../broker/remote-log.ts'
import type { LiveSettings } from '../config/live-settings.ts'
import type { LoadedSettings } from '../config/load.ts'
import type { TopicConfigs } from '../config/topic-configs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { ResponseShare } from './response-share.ts'

/** The id of the one broker that clients see: leader, replica, coordinator and controller of everything. */
export const nodeId = 1

/** What handlers work with. */
export interface Services {
  readonly broker: Broker
  readonly groups: Groups
  readonly loaded: LoadedSettings
  /** What of them changes while the gateway runs. */
  readonly live: LiveSettings
  readonly topicConfigs: TopicConfigs
  /** Does an MQTT route choose partitions of the topic by key? Then more partitions move keys. */
  readonly hasKeyedRoute: (topic: string) => boolean
  /** What the central cluster has of what has left this log; absent: nothing is read from there. */
  readonly remote?: RemoteLog | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly responses: ResponseShare
}
