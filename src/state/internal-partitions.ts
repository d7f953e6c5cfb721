import { partitionId } from '../core/brand.ts'

/** Partitions of the broker's own state; storage has partition 0 to itself (`storage/log.ts`). The numbers are on disk: never change or reuse one. */
export const internalPartitions = {
  topics: partitionId(1),
  groups: partitionId(2),
  producers: partitionId(3),
  retained: partitionId(4),
  /** QoS 2 packet ids received but not released, by client. */
  mqttInflight: partitionId(5),
  /** MQTT sessions that outlive their connections, and what they have yet to read. */
  mqttSessions: partitionId(6),
  /** QoS 2 packet ids given to publishes on their way to such sessions. */
  mqttOutbound: partitionId(7),
  /** What the central cluster has of this log, as far as it is known here. */
  uplink: partitionId(9),
  /** How far topics of the central cluster were read, and what devices have not acknowledged. */
  downlink: partitionId(10),
  /** Wills of connected clients, and of lost ones while their delay runs. */
  mqttWills: partitionId(11),
  /** Where offsets of partitions stand in the central cluster. */
  offsetMap: partitionId(12),
  /** How far shared subscriptions with lasting members have come. */
  mqttShares: partitionId(13),
  /** Edge nodes and devices of Sparkplug: names by alias, and whether they are alive. */
  sparkplug: partitionId(8),
} as const
