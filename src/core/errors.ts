/**
 * Every expected failure of the broker, and whether the same request may succeed later without anyone changing it; `waits`: so soon that the
 * broker tries again itself before it tells the client.
 * Protocol codes are elsewhere: `kafka/errors.ts` and `mqtt/errors.ts` map every kind and do not compile while one is missing.
 */
export const errorKinds = {
  // topics and partitions
  unknownTopic: { retriable: true },
  unknownTopicId: { retriable: true },
  unknownPartition: { retriable: true },
  invalidTopic: { retriable: false },
  topicExists: { retriable: false },
  topicLimit: { retriable: false },
  invalidPartitionCount: { retriable: false },
  invalidReplicationFactor: { retriable: false },
  invalidReplicaAssignment: { retriable: false },
  invalidConfig: { retriable: false },
  invalidRequest: { retriable: false },
  // append and read
  recordTooLarge: { retriable: false },
  corruptBatch: { retriable: true },
  invalidRecord: { retriable: false },
  invalidTimestamp: { retriable: false },
  unsupportedCompression: { retriable: false },
  invalidRequiredAcks: { retriable: false },
  offsetOutOfRange: { retriable: false },
  offsetUnavailable: { retriable: true },
  fencedLeaderEpoch: { retriable: true },
  unknownLeaderEpoch: { retriable: true },
  policyViolation: { retriable: false },
  notEnoughReplicas: { retriable: true },
  notEnoughReplicasAfterAppend: { retriable: true },
  replicationTimeout: { retriable: true },
  // storage
  spaceAwaited: { retriable: true, waits: true },
  storageFull: { retriable: true },
  storageFailed: { retriable: true },
  memoryFull: { retriable: true, waits: true },
  // idempotent producers
  outOfOrderSequence: { retriable: false },
  invalidProducerEpoch: { retriable: false },
  invalidTransactionState: { retriable: false },
  // consumer groups
  coordinatorUnavailable: { retriable: true },
  invalidGroupId: { retriable: false },
  unknownMember: { retriable: false },
  memberIdRequired: { retriable: false },
  illegalGeneration: { retriable: false },
  rebalanceInProgress: { retriable: true },
  inconsistentGroupProtocol: { retriable: false },
  invalidSessionTimeout: { retriable: false },
  fencedInstance: { retriable: false },
  groupFull: { retriable: false },
  groupNotFound: { retriable: false },
  groupNotEmpty: { retriable: false },
  groupSubscribedToTopic: { retriable: false },
  offsetMetadataTooLarge: { retriable: false },
  // the process
  notAuthorized: { retriable: false },
  unsupported: { retriable: false },
  shuttingDown: { retriable: true },
} as const satisfies Record<string, { retriable: boolean; waits?: boolean }>

export type ErrorKind = keyof typeof errorKinds

/** An expected failure. `message` is one line for the user: what, where, what to do. */
export class BrokerError extends Error {
  override name = 'BrokerError'
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, message: string) {
    super(message)
    this.kind = kind
  }

  /** The same request may succeed later. */
  get retriable(): boolean {
    return errorKinds[this.kind].retriable
  }

  /** Nothing was done, and a front tries again soon instead of answering. */
  get waits(): boolean {
    return 'waits' in errorKinds[this.kind]
  }
}

/** A start that cannot go on: printed as one line, the process exits with `exitCode` (64 settings, 65 data directory, 69 listener). */
export class StartError extends Error {
  override name = 'StartError'
  readonly exitCode: 64 | 65 | 69

  constructor(exitCode: 64 | 65 | 69, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}
