/** Limits and times of consumer groups. Names as in Kafka where it has the setting; the composition root fills them in. */
export interface GroupSettings {
  /** `group.initial.rebalance.delay.ms`: how long an empty group waits for more members; each one that comes extends it. */
  readonly initialRebalanceDelayMs: number
  /** `group.min.session.timeout.ms` */
  readonly minSessionTimeoutMs: number
  /** `group.max.session.timeout.ms` */
  readonly maxSessionTimeoutMs: number
  /** `group.max.size`: members of one group. */
  readonly maxSize: number
  /** `offsets.retention.minutes` */
  readonly offsetsRetentionMinutes: number
  /** `offsets.retention.check.interval.ms` */
  readonly offsetsRetentionCheckMs: number
  /** `offset.metadata.max.bytes` */
  readonly offsetMetadataMaxBytes: number
  /** Groups that exist, empty ones included. */
  readonly maxGroups: number
  /** Members of all groups, those included that hold a member id but have not joined yet. */
  readonly maxMembers: number
  /** Subscriptions, assignments and names of all members. */
  readonly maxMetadataBytes: number
  /** Memory for committed offsets of all groups. */
  readonly maxOffsetsBytes: number
}

export const defaultGroupSettings: GroupSettings = {
  initialRebalanceDelayMs: 3000,
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  maxSize: 1000,
  offsetsRetentionMinutes: 10_080,
  offsetsRetentionCheckMs: 600_000,
  offsetMetadataMaxBytes: 4096,
  maxGroups: 2000,
  maxMembers: 10_000,
  maxMetadataBytes: 16 * 1024 * 1024,
  maxOffsetsBytes: 8 * 1024 * 1024,
}

/** A join of a member that has no id yet is given up after this time: it cannot heartbeat, and its socket may be gone (as Kafka). */
export const newMemberJoinTimeoutMs = 300_000

/** Longest group, member and instance id, in UTF-16 units. Client libraries stay far below. */
export const maxIdLength = 1024
