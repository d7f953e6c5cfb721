import type { ErrorKind } from '../../core/errors.ts'
import { BrokerError } from '../../core/errors.ts'
import type { StateChange } from '../../state/view.ts'

/** State of a classic group; the words of DescribeGroups and ListGroups. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** One way of assigning that a member supports, in the member's order of preference. `metadata` is opaque. */
export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface JoinRequest {
  readonly groupId: string
  /** '' when the member has none yet. */
  readonly memberId: string
  /** Names a static member (KIP-345); null for a dynamic one. */
  readonly groupInstanceId: string | null
  /** '' when the request header has none. */
  readonly clientId: string
  /** Address of the peer, for DescribeGroups; Kafka's form is `/127.0.0.1`. */
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  /** Below 0 (JoinGroup v0 has no such field): the session timeout. */
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly MemberProtocol[]
  /** JoinGroup v4+: a dynamic member without id is refused with `MemberIdRequired` and joins again with that id (KIP-394). */
  readonly needsKnownMemberId: boolean
  /** JoinGroup v9+: a static leader that was replaced gets the members and `skipAssignment` (KIP-814). */
  readonly knowsSkipAssignment: boolean
}

export interface JoinResult {
  readonly memberId: string
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  /** All members with their metadata of the chosen protocol, for the leader; empty for the others. */
  readonly members: readonly JoinedMember[]
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

/** Who speaks in a request of a member. */
export interface MemberIdentity {
  readonly groupId: string
  readonly memberId: string
  /** Null when the request (or its version) has none. */
  readonly groupInstanceId: string | null
  readonly generation: number
}

export interface SyncRequest extends MemberIdentity {
  /** Null when not given (before v5): not checked. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** Only the leader's count. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncResult {
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export interface LeaveRequest {
  readonly groupId: string
  /** By member id, or by instance id alone with memberId ''. LeaveGroup before v3 is one member. */
  readonly members: readonly { readonly memberId: string; readonly groupInstanceId: string | null }[]
}

/** In the order of the request; `error` undefined when the member left. */
export type LeaveResult = readonly {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly error: ErrorKind | undefined
}[]

/** One partition of an OffsetCommit. Whether topic and partition exist is for the caller to check. */
export interface OffsetCommit {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** -1 when unknown. */
  readonly leaderEpoch: number
  readonly metadata: string | null
}

/** `generation` -1, `memberId` '' and no instance id: a commit from outside the group, legal while it has no members. */
export interface CommitRequest extends MemberIdentity {
  readonly offsets: readonly OffsetCommit[]
}

/** A committed offset; offset -1, leader epoch -1 and metadata '' when there is none. */
export interface FetchedOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface OffsetFetchRequest {
  readonly groupId: string
  /** Null: everything that the group has committed. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
}

/** In the order of the request (any order for `topics: null`), partitions of a topic side by side. */
export interface OffsetFetchResult {
  readonly groupId: string
  readonly offsets: readonly FetchedOffset[]
}

export interface OffsetDeleteRequest {
  readonly groupId: string
  readonly offsets: readonly { readonly topic: string; readonly partition: number }[]
}

export interface GroupListing {
  readonly groupId: string
  /** '' for a group that only commits offsets. */
  readonly protocolType: string
  readonly state: GroupState
}

export interface GroupDescription extends GroupListing {
  readonly generation: number
  /** '' unless the group is Stable. */
  readonly protocolName: string
  /** Null when it has none. */
  readonly leader: string | null
  readonly members: readonly MemberDescription[]
}

export interface MemberDescription {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Empty unless the group is Stable. */
  readonly metadata: Buffer
  readonly assignment: Buffer
}

/** The refusal that carries the member id to join again with. */
export class MemberIdRequired extends BrokerError {
  readonly memberId: string

  constructor(memberId: string) {
    super('memberIdRequired', `join again as member ${memberId}`)
    this.memberId = memberId
  }
}

/**
 * Classic consumer groups and committed offsets: what the fronts call. Every method rejects with `BrokerError`; per-item failures are
 * part of the result. What resolves is durable, or does not need to be.
 *
 * Kinds shared by the requests of members: `invalidGroupId`, `unknownMember` (also for an unknown group), `fencedInstance`,
 * `illegalGeneration`, `rebalanceInProgress`, `coordinatorUnavailable` (the group could not be stored, or goes away: try again).
 */
export interface Groups {
  /**
   * Resolves when the rebalance has a generation. Also: `MemberIdRequired`, `inconsistentGroupProtocol`, `invalidSessionTimeout`,
   * `groupFull` (a limit of members, groups or metadata bytes). A member has one join and one sync parked at most: a newer one
   * answers the older with `rebalanceInProgress`.
   */
  join(request: JoinRequest): Promise<JoinResult>
  /** Resolves when the leader's assignment is durable. Also: `inconsistentGroupProtocol`, `groupFull`. */
  sync(request: SyncRequest): Promise<SyncResult>
  /** Throws instead of rejecting: nothing waits here. `rebalanceInProgress` tells the member to join again. */
  heartbeat(request: MemberIdentity): void
  /** Throws instead of rejecting; what happens to each member is in the result. */
  leave(request: LeaveRequest): LeaveResult

  /**
   * One group commit for all offsets; resolves when it is durable. The result has an entry per offset of the request, in order:
   * undefined when stored, else `offsetMetadataTooLarge`. Throws for all of them also `groupNotFound` (a generation for an unknown group:
   * OffsetCommit before v9 calls that ILLEGAL_GENERATION) and `policyViolation` (the limit of stored offsets).
   */
  commit(request: CommitRequest): Promise<readonly (ErrorKind | undefined)[]>
  /** All groups of one request; an unknown group has no offsets. Resolves when everything that it shows is durable. */
  fetchOffsets(requests: readonly OffsetFetchRequest[]): Promise<readonly OffsetFetchResult[]>
  /**
   * An entry per offset of the request, in order: undefined when it is gone (or never was), else `groupSubscribedToTopic`.
   * Throws for all: `groupNotFound`, `groupNotEmpty` (members that are no consumers).
   */
  deleteOffsets(request: OffsetDeleteRequest): Promise<readonly (ErrorKind | undefined)[]>

  /** Every group. The fronts filter by state and type. */
  list(): Promise<readonly GroupListing[]>
  /** Undefined for an unknown group, which DescribeGroups calls Dead. */
  describe(groupId: string): Promise<GroupDescription | undefined>
  /** An entry per id, in order: undefined when deleted with its offsets, else `groupNotFound`, `groupNotEmpty` or a storage kind. */
  delete(groupIds: readonly string[]): Promise<readonly (ErrorKind | undefined)[]>

  /** For lag and the CLI: what the group has committed, durable or not yet. Empty for an unknown group. */
  committedOffsets(groupId: string): Iterable<FetchedOffset>
  /** Its offsets do not expire as long as this process runs: their owner is here, though no member. */
  keep(groupId: string): void
  /** Removal of all offsets committed for the topics, to be written in the same group of the log as their deletion. */
  changesForDeletedTopics(topics: readonly string[]): StateChange[]
  /** Answers every parked request with `coordinatorUnavailable` and stops all timers. Further requests fail the same way. */
  stop(): void
}
