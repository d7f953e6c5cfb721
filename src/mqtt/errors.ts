import type { ErrorKind } from '../core/errors.ts'
import type { Violation } from '../wire/mqtt/protocol-violation.ts'

/** MQTT 5 reason codes used here (section 2.4). */
export const reasonCodes = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reauthenticate: 0x19,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
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
  // min.insync.replicas=2: not stored, or stored here alone
  notEnoughReplicas: reasonCodes.implementationSpecific,
  notEnoughReplicasAfterAppend: reasonCodes.implementationSpecific,
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
  replicationTimeout: reasonCodes.unspecified,
  offsetOutOfRange: reasonCodes.unspecified,
  offsetUnavailable: reasonCodes.unspecified,
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

const violations = {
  malformedPacket: reasonCodes.malformedPacket,
  protocolError: reasonCodes.protocolError,
  unsupportedVersion: reasonCodes.unsupportedVersion,
  topicFilterInvalid: reasonCodes.topicFilterInvalid,
  topicNameInvalid: reasonCodes.topicNameInvalid,
  topicAliasInvalid: reasonCodes.topicAliasInvalid,
  receiveMaximumExceeded: reasonCodes.receiveMaximumExceeded,
  packetTooLarge: reasonCodes.packetTooLarge,
  quotaExceeded: reasonCodes.quotaExceeded,
  badAuthenticationMethod: reasonCodes.badAuthenticationMethod,
} as const satisfies Record<Violation, number>

/** The reason code of the DISCONNECT or CONNACK that ends a connection for what its client did. [MQTT-3.14.2-1] */
export const violationReason = (violation: Violation): number => violations[violation]

/** Return codes of CONNACK before MQTT 5 (3.1.1 section 3.2.2.3), by the reason code of MQTT 5. */
const returnCodes: Readonly<Record<number, number>> = {
  [reasonCodes.success]: 0,
  [reasonCodes.unsupportedVersion]: 1,
  [reasonCodes.clientIdentifierNotValid]: 2,
  [reasonCodes.badUserNameOrPassword]: 4,
  [reasonCodes.notAuthorized]: 5,
}
const serverUnavailable = 3

// [MQTT-3.2.2-8]
export const connackCode = (version: number, reasonCode: number): number =>
  version === 5 ? reasonCode : (returnCodes[reasonCode] ?? serverUnavailable)

/** Why we close a connection: the label of `mqtt_refused_connections_total`. */
const closeReasons = [
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
  'authentication',
  'connect.timeout',
  'slow.subscriber',
  'memory',
  'not.stored',
  'receive.maximum',
  'storage',
  'internal',
] as const

export type CloseReason = (typeof closeReasons)[number]
