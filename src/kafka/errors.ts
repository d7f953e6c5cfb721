import { BrokerError, type ErrorKind } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Metrics } from '../core/metrics.ts'
import type { SetupRefusal } from '../platform/stream-server.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'

/**
 * Every expected failure as Kafka's error code. A kind without a row does not compile. Where an API has another code for the same
 * thing (OffsetCommit before version 9, say), its handler says so.
 */
const codeOfKind: Readonly<Record<ErrorKind, number>> = {
  unknownTopic: errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  unknownTopicId: errorCodes.UNKNOWN_TOPIC_ID,
  unknownPartition: errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  invalidTopic: errorCodes.INVALID_TOPIC_EXCEPTION,
  topicExists: errorCodes.TOPIC_ALREADY_EXISTS,
  topicLimit: errorCodes.POLICY_VIOLATION,
  invalidPartitionCount: errorCodes.INVALID_PARTITIONS,
  invalidReplicationFactor: errorCodes.INVALID_REPLICATION_FACTOR,
  invalidReplicaAssignment: errorCodes.INVALID_REPLICA_ASSIGNMENT,
  invalidConfig: errorCodes.INVALID_CONFIG,
  invalidRequest: errorCodes.INVALID_REQUEST,
  recordTooLarge: errorCodes.MESSAGE_TOO_LARGE,
  corruptBatch: errorCodes.CORRUPT_MESSAGE,
  invalidRecord: errorCodes.INVALID_RECORD,
  invalidTimestamp: errorCodes.INVALID_TIMESTAMP,
  unsupportedCompression: errorCodes.UNSUPPORTED_COMPRESSION_TYPE,
  invalidRequiredAcks: errorCodes.INVALID_REQUIRED_ACKS,
  offsetOutOfRange: errorCodes.OFFSET_OUT_OF_RANGE,
  // before ListOffsets 5 its handler says so in another way
  offsetUnavailable: errorCodes.OFFSET_NOT_AVAILABLE,
  fencedLeaderEpoch: errorCodes.FENCED_LEADER_EPOCH,
  unknownLeaderEpoch: errorCodes.UNKNOWN_LEADER_EPOCH,
  policyViolation: errorCodes.POLICY_VIOLATION,
  notEnoughReplicas: errorCodes.NOT_ENOUGH_REPLICAS,
  notEnoughReplicasAfterAppend: errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  // the batch stands here, and its replica was in sync and slower than the request had time
  replicationTimeout: errorCodes.REQUEST_TIMED_OUT,
  spaceAwaited: errorCodes.KAFKA_STORAGE_ERROR,
  storageFull: errorCodes.KAFKA_STORAGE_ERROR,
  storageFailed: errorCodes.KAFKA_STORAGE_ERROR,
  // nothing was appended and a retry may pass: clients repeat it after their backoff
  memoryFull: errorCodes.REQUEST_TIMED_OUT,
  outOfOrderSequence: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  invalidProducerEpoch: errorCodes.INVALID_PRODUCER_EPOCH,
  invalidTransactionState: errorCodes.INVALID_TXN_STATE,
  coordinatorUnavailable: errorCodes.COORDINATOR_NOT_AVAILABLE,
  invalidGroupId: errorCodes.INVALID_GROUP_ID,
  unknownMember: errorCodes.UNKNOWN_MEMBER_ID,
  memberIdRequired: errorCodes.MEMBER_ID_REQUIRED,
  illegalGeneration: errorCodes.ILLEGAL_GENERATION,
  rebalanceInProgress: errorCodes.REBALANCE_IN_PROGRESS,
  inconsistentGroupProtocol: errorCodes.INCONSISTENT_GROUP_PROTOCOL,
  invalidSessionTimeout: errorCodes.INVALID_SESSION_TIMEOUT,
  fencedInstance: errorCodes.FENCED_INSTANCE_ID,
  groupFull: errorCodes.GROUP_MAX_SIZE_REACHED,
  groupNotFound: errorCodes.GROUP_ID_NOT_FOUND,
  groupNotEmpty: errorCodes.NON_EMPTY_GROUP,
  groupSubscribedToTopic: errorCodes.GROUP_SUBSCRIBED_TO_TOPIC,
  offsetMetadataTooLarge: errorCodes.OFFSET_METADATA_TOO_LARGE,
  notAuthorized: errorCodes.TOPIC_AUTHORIZATION_FAILED,
  unsupported: errorCodes.UNSUPPORTED_VERSION,
  // clients look for the leader again, which is us after the restart
  shuttingDown: errorCodes.NOT_LEADER_OR_FOLLOWER,
}

const maxMessageLength = 1000

/** What a response says of a failure. */
export interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

/**
 * The answer for an expected failure, counted. Anything else is a bug and thrown on. A producer's batch that cannot be taken apart
 * (MalformedFrame: we store batches as they come) counts as an invalid record.
 */
export function refusalOf(error: unknown, metrics: Metrics): Refusal {
  if (error instanceof BrokerError) {
    return { errorCode: refusedKind(error.kind, metrics), errorMessage: shortened(error.message) }
  }
  if (error instanceof MalformedFrame) {
    return { errorCode: refusedKind('invalidRecord', metrics), errorMessage: shortened(error.message) }
  }
  throw error
}

/** A message may quote what the peer sent; a string of the protocol ends at 32767 bytes. */
const shortened = (message: string): string =>
  message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength)}...`

/** The code of a kind that came as part of a result, counted. */
export function refusedKind(kind: ErrorKind, metrics: Metrics): number {
  metrics.add('kafkaErrors', 1, kind)
  return codeOfKind[kind]
}

/** Thrown by a handler when the protocol leaves no answer but to close the connection. */
export class CloseConnection extends Error {
  override readonly name = 'CloseConnection'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Why we close connections; the labels of `kafkaRefusedConnections`. */
export type RefusalReason =
  /** Bytes that are no Kafka request, or one larger than `socket.request.max.bytes`. */
  | 'malformed'
  /** An API or version that is not served. */
  | 'unsupported'
  /** acks=0 has no answer in which an error could stand. */
  | 'acks-0-failed'
  /** `connections.max.idle.ms` */
  | 'idle'
  /** A limit of connections, or what comes before the protocol. */
  | SetupRefusal
  /** Half a request held memory that others waited for. */
  | 'memory'
  /** A bug of ours. */
  | 'internal'
