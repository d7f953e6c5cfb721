import type { ErrorKind } from '../core/errors.ts'

/** MQTT 5 reason codes used here (section 2.4). */
export const reasonCodes = {
  unspecified: 0x80,
  implementationSpecific: 0x83,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
} as const

/**
 * What a publisher with MQTT 5 is told in PUBACK or PUBREC when its record was not stored. MQTT 3.1 and 3.1.1 have no word for it
 * ([MQTT-3.3.5-2]: acknowledge or close): their connection is closed, since what is acknowledged is stored. A QoS 0 publish is
 * dropped and counted in every version.
 *
 * PUBACK knows only 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 and 0x99, hence a record that is too large is a quota exceeded.
 */
const puback = {
  // a route leads to a topic that cannot be made
  invalidTopic: reasonCodes.topicNameInvalid,
  topicLimit: reasonCodes.quotaExceeded,
  invalidPartitionCount: reasonCodes.quotaExceeded,
  policyViolation: reasonCodes.quotaExceeded,
  recordTooLarge: reasonCodes.quotaExceeded,
  spaceAwaited: reasonCodes.quotaExceeded,
  storageFull: reasonCodes.quotaExceeded,
  memoryFull: reasonCodes.quotaExceeded,
  storageFailed: reasonCodes.implementationSpecific,
  shuttingDown: reasonCodes.implementationSpecific,
  notAuthorized: reasonCodes.notAuthorized,
  // the topic went away between the route and the append
  unknownTopic: reasonCodes.implementationSpecific,
  unknownTopicId: reasonCodes.implementationSpecific,
  unknownPartition: reasonCodes.implementationSpecific,
  topicExists: reasonCodes.implementationSpecific,
  // not raised by appends of single records
  invalidReplicationFactor: reasonCodes.unspecified,
  invalidReplicaAssignment: reasonCodes.unspecified,
  invalidConfig: reasonCodes.unspecified,
  invalidRequest: reasonCodes.unspecified,
  corruptBatch: reasonCodes.unspecified,
  invalidRecord: reasonCodes.unspecified,
  invalidTimestamp: reasonCodes.unspecified,
  unsupportedCompression: reasonCodes.unspecified,
  invalidRequiredAcks: reasonCodes.unspecified,
  offsetOutOfRange: reasonCodes.unspecified,
  fencedLeaderEpoch: reasonCodes.unspecified,
  unknownLeaderEpoch: reasonCodes.unspecified,
  outOfOrderSequence: reasonCodes.unspecified,
  invalidProducerEpoch: reasonCodes.unspecified,
  invalidTransactionState: reasonCodes.unspecified,
  coordinatorUnavailable: reasonCodes.unspecified,
  invalidGroupId: reasonCodes.unspecified,
  unknownMember: reasonCodes.unspecified,
  memberIdRequired: reasonCodes.unspecified,
  illegalGeneration: reasonCodes.unspecified,
  rebalanceInProgress: reasonCodes.unspecified,
  inconsistentGroupProtocol: reasonCodes.unspecified,
  invalidSessionTimeout: reasonCodes.unspecified,
  fencedInstance: reasonCodes.unspecified,
  groupFull: reasonCodes.unspecified,
  groupNotFound: reasonCodes.unspecified,
  groupNotEmpty: reasonCodes.unspecified,
  groupSubscribedToTopic: reasonCodes.unspecified,
  offsetMetadataTooLarge: reasonCodes.unspecified,
  unsupported: reasonCodes.unspecified,
} as const satisfies Record<ErrorKind, number>

export const pubackReason = (kind: ErrorKind): number => puback[kind]

/** Why we close a connection: the label of `mqtt_refused_connections_total`. */
export const closeReasons = [
  'connections.max',
  'address.connections.max',
  'connection.rate.max',
  'proxy.header',
  'tls',
  'websocket',
  'setup.timeout',
  'protocol',
  'packet.size',
  'keep.alive',
  'slow.subscriber',
  'memory',
  'not.stored',
  'receive.maximum',
  'storage',
  'internal',
] as const

export type CloseReason = (typeof closeReasons)[number]
