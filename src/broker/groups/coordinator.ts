import { BrokerError, type ErrorKind } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Random } from '../../platform/random.ts'
import type { GroupMetadata } from '../../state/group-metadata.ts'
import type { GroupsView } from '../../state/groups.ts'
import type { StateLog } from '../../state/state-log.ts'
import type { StateChange } from '../../state/view.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { expireGroups, removeGroup } from './expiry.ts'
import { type Group, unknownMember } from './group.ts'
import type {
  CommitRequest,
  FetchedOffset,
  GroupDescription,
  GroupListing,
  Groups,
  JoinRequest,
  JoinResult,
  LeaveRequest,
  LeaveResult,
  MemberIdentity,
  OffsetDeleteRequest,
  OffsetFetchRequest,
  OffsetFetchResult,
  SyncRequest,
  SyncResult,
} from './groups.ts'
import { checkedTimeouts, join } from './join.ts'
import { leave } from './leave.ts'
import { Member, noBytes } from './member.ts'
import { Rebalance } from './rebalance.ts'
import { type GroupContext, GroupRegistry } from './registry.ts'
import type { GroupSettings } from './settings.ts'
import { asBrokerError, GroupStore } from './store.ts'
import { sync } from './sync.ts'

export interface GroupCoordinatorParts {
  readonly clock: Clock
  readonly random: Random
  readonly settings: GroupSettings
  readonly metrics: Metrics
  readonly logger: Logger
  readonly stateLog: StateLog
  /** Replayed: the groups of the last run are in it. */
  readonly view: GroupsView
}

/**
 * The coordinator of all groups of this gateway: Kafka's classic group protocol and committed offsets. Single-threaded; a request changes
 * state in one synchronous stretch. Nothing is told to a peer before it is durable.
 */
export class GroupCoordinator implements Groups {
  readonly #context: GroupContext
  readonly #registry: GroupRegistry
  readonly #rebalance: Rebalance
  readonly #offsets: CommittedOffsets
  #sweep: Timer | undefined
  #stopped = false

  /** Takes up the groups that `view` holds: Stable ones wait for their members' heartbeats for a session timeout. */
  constructor({ stateLog, view, ...parts }: GroupCoordinatorParts) {
    this.#context = { ...parts, kept: new Set(), store: new GroupStore(stateLog, view) }
    this.#registry = new GroupRegistry(this.#context)
    this.#rebalance = new Rebalance(this.#context, this.#registry)
    this.#offsets = new CommittedOffsets(this.#context, this.#registry, (group, memberId) => {
      this.#rebalance.touch(group.member(memberId, null))
    })
    parts.metrics.gauge('groupsMembers', () => this.#registry.usage.members)
    this.#load()
    this.#scheduleSweep()
  }

  join(request: JoinRequest): Promise<JoinResult> {
    return new Promise((resolve, reject) => {
      this.#checkRequest(request.groupId)
      this.#context.store.checkWritable()
      const checked = checkedTimeouts(request, this.#context.settings)
      const known = this.#registry.get(request.groupId)
      if (known === undefined && request.memberId !== '') throw unknownMember(request.groupId, request.memberId)
      const group = known ?? this.#registry.getOrCreate(request.groupId)
      try {
        join(group, checked, { resolve, reject }, this.#rebalance)
      } finally {
        // a refused join leaves no new group behind
        this.#registry.dropIfUnused(group)
      }
    })
  }

  sync(request: SyncRequest): Promise<SyncResult> {
    return new Promise((resolve, reject) => {
      this.#checkRequest(request.groupId)
      sync(this.#groupWith(request), request, { resolve, reject }, this.#rebalance)
    })
  }

  heartbeat(request: MemberIdentity): void {
    this.#checkRequest(request.groupId)
    const group = this.#groupWith(request)
    const member = group.member(request.memberId, request.groupInstanceId)
    group.checkGeneration(request.generation)
    this.#rebalance.touch(member)
    if (group.state !== 'PreparingRebalance') return
    throw new BrokerError('rebalanceInProgress', `group ${group.groupId} rebalances: join again`)
  }

  leave(request: LeaveRequest): LeaveResult {
    this.#checkRequest(request.groupId)
    const group = this.#registry.get(request.groupId)
    if (group === undefined) throw unknownMember(request.groupId, request.members[0]?.memberId ?? '')
    return leave(group, request, this.#rebalance)
  }

  async commit(request: CommitRequest): Promise<readonly (ErrorKind | undefined)[]> {
    this.#checkRunning()
    return this.#offsets.commit(request)
  }

  async fetchOffsets(requests: readonly OffsetFetchRequest[]): Promise<readonly OffsetFetchResult[]> {
    this.#checkRunning()
    return this.#offsets.fetch(requests)
  }

  async deleteOffsets(request: OffsetDeleteRequest): Promise<readonly (ErrorKind | undefined)[]> {
    this.#checkRunning()
    return this.#offsets.delete(request)
  }

  async list(): Promise<readonly GroupListing[]> {
    const listings = [...this.#registry.all()].map(listing)
    await this.#context.store.durable()
    return listings
  }

  async describe(groupId: string): Promise<GroupDescription | undefined> {
    const group = this.#registry.get(groupId)
    const description = group === undefined ? undefined : describe(group)
    await this.#context.store.durable()
    return description
  }

  async delete(groupIds: readonly string[]): Promise<readonly (ErrorKind | undefined)[]> {
    this.#checkRunning()
    return Promise.all(groupIds.map(groupId => this.#deleteOne(groupId)))
  }

  committedOffsets(groupId: string): Iterable<FetchedOffset> {
    return this.#offsets.all(groupId)
  }

  keep(groupId: string): void {
    this.#context.kept.add(groupId)
  }

  changesForDeletedTopics(topics: readonly string[]): StateChange[] {
    return this.#offsets.changesForDeletedTopics(topics)
  }

  stop(): void {
    this.#stopped = true
    this.#sweep?.cancel()
    for (const group of [...this.#registry.all()]) {
      for (const member of [...group.members.values()]) this.#rebalance.evict(group, member, stopping())
      this.#registry.remove(group)
    }
  }

  #checkRunning(): void {
    if (this.#stopped) throw stopping()
  }

  #checkRequest(groupId: string): void {
    this.#checkRunning()
    if (groupId === '') throw new BrokerError('invalidGroupId', 'the group id is empty')
  }

  /** An unknown group has no members. */
  #groupWith({ groupId, memberId }: MemberIdentity): Group {
    const group = this.#registry.get(groupId)
    if (group === undefined) throw unknownMember(groupId, memberId)
    return group
  }

  async #deleteOne(groupId: string): Promise<ErrorKind | undefined> {
    const group = this.#registry.get(groupId)
    if (group === undefined) return 'groupNotFound'
    if (group.state !== 'Empty') return 'groupNotEmpty'
    try {
      await removeGroup(group, this.#context, this.#registry)
      return undefined
    } catch (error) {
      return asBrokerError(error).kind
    }
  }

  #load(): void {
    const { settings, store } = this.#context
    for (const { groupId, metadata } of store.view.groups()) this.#restore(this.#registry.add(groupId), metadata)
    for (const groupId of store.view.offsets.groups()) {
      if (this.#registry.get(groupId) === undefined) this.#registry.add(groupId)
    }
    for (const group of this.#registry.all()) {
      if (group.members.size > settings.maxSize) this.#rebalance.prepare(group, 'group.max.size was lowered')
    }
  }

  #restore(group: Group, metadata: GroupMetadata): void {
    const members = metadata.members.map(stored => {
      const member = new Member(stored, this.#rebalance.sessionOf(group, stored.memberId))
      member.sessionTimeoutMs = stored.sessionTimeoutMs
      member.rebalanceTimeoutMs = stored.rebalanceTimeoutMs
      member.setProtocols([{ name: metadata.protocolName ?? '', metadata: stored.subscription }])
      member.assignment = stored.assignment
      return member
    })
    group.restore(metadata, members)
    for (const member of members) this.#rebalance.touch(member)
  }

  #scheduleSweep(): void {
    this.#sweep = this.#context.clock.after(this.#context.settings.offsetsRetentionCheckMs, () => {
      expireGroups(this.#context, this.#registry)
      this.#scheduleSweep()
    })
  }
}

const listing = ({ groupId, protocolType, state }: Group): GroupListing => ({
  groupId,
  protocolType: protocolType ?? '',
  state,
})

function describe(group: Group): GroupDescription {
  const isStable = group.state === 'Stable'
  const members = [...group.members.values()].map(member => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: isStable ? member.metadataOf(group.protocolName) : noBytes,
    assignment: member.assignment,
  }))
  const { generation, leader } = group
  const protocolName = isStable ? (group.protocolName ?? '') : ''
  return { ...listing(group), generation, leader, protocolName, members }
}

const stopping = () => new BrokerError('coordinatorUnavailable', 'the gateway stops')
