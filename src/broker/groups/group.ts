import { assert } from '../../core/assert.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Timer } from '../../platform/clock.ts'
import type { GroupMetadata } from '../../state/group-metadata.ts'
import type { Deadline } from './deadline.ts'
import type { GroupState, JoinedMember, JoinResult, MemberProtocol } from './groups.ts'
import type { Member } from './member.ts'

/** From which states a state may be entered. */
const validPreviousStates: Record<GroupState, readonly GroupState[]> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable'],
}

/** What all groups together hold of `maxMembers` and `maxMetadataBytes`. */
export interface GroupUsage {
  members: number
  metadataBytes: number
}

/**
 * A classic group: members, votes, leader, generation. Knows no time and answers nobody; `rebalance.ts` moves it through its states.
 */
export class Group {
  readonly groupId: string
  readonly members = new Map<string, Member>()
  /** Instance id to the member id that holds it now. */
  readonly staticMembers = new Map<string, string>()
  /** Ids that were given out by `MemberIdRequired`, until they join or their session timeout passes. */
  readonly pendingJoin = new Map<string, Deadline>()
  /** Members that have the generation but have not asked for their assignment. */
  readonly pendingSync = new Set<string>()
  generation = 0
  /** Survives the last member, as the kind of group that this was. */
  protocolType: string | null = null
  protocolName: string | null = null
  leader: string | null = null
  /** A member came during the initial delay, which is therefore extended. */
  newMemberAdded = false
  joinTimer: Timer | undefined
  syncTimer: Timer | undefined
  #state: GroupState = 'Empty'
  #previousState: GroupState = 'Empty'
  /** Log age at which it came into its state. */
  #since: number
  readonly #usage: GroupUsage
  readonly #charged = new Map<Member, number>()
  /** How many members support each protocol. */
  readonly #supporters = new Map<string, number>()

  constructor(groupId: string, since: number, usage: GroupUsage) {
    this.groupId = groupId
    this.#since = since
    this.#usage = usage
  }

  get state(): GroupState {
    return this.#state
  }

  get since(): number {
    return this.#since
  }

  /** The first rebalance of an empty group is under way: it waits for more members. */
  get isInitialRebalance(): boolean {
    return this.#state === 'PreparingRebalance' && this.#previousState === 'Empty'
  }

  transitionTo(state: GroupState, logAge: number): void {
    assert(validPreviousStates[state].includes(this.#state), `a group goes from ${this.#state} to ${state}`)
    this.#previousState = this.#state
    this.#state = state
    this.#since = logAge
  }

  /** Only at start. The members come with their sessions; nobody has joined since. */
  restore(metadata: GroupMetadata, members: readonly Member[]): void {
    assert(this.members.size === 0 && this.#state === 'Empty', 'a group is restored once')
    for (const member of members) this.add(member)
    this.generation = metadata.generation
    this.protocolType = metadata.protocolType
    this.protocolName = metadata.protocolName
    this.leader = members.length === 0 ? null : (metadata.leader ?? members[0]!.memberId)
    this.#state = members.length === 0 ? 'Empty' : 'Stable'
    this.#since = metadata.since
  }

  get rebalanceTimeoutMs(): number {
    let longestMs = 0
    for (const { rebalanceTimeoutMs } of this.members.values()) longestMs = Math.max(longestMs, rebalanceTimeoutMs)
    return longestMs
  }

  get awaitingJoinCount(): number {
    let count = 0
    for (const member of this.members.values()) if (member.isAwaitingJoin) count++
    return count
  }

  get hasAllMembersJoined(): boolean {
    if (this.pendingJoin.size > 0) return false
    for (const member of this.members.values()) if (!member.isAwaitingJoin) return false
    return true
  }

  add(member: Member): void {
    assert(!this.members.has(member.memberId), 'a member is added once')
    if (this.members.size === 0) this.leader = member.memberId
    this.members.set(member.memberId, member)
    if (member.groupInstanceId !== null) this.staticMembers.set(member.groupInstanceId, member.memberId)
    this.#countSupport(member, 1)
    this.#charge(member)
  }

  /** Takes over what a member says when it joins again. */
  update(
    member: Member,
    protocols: readonly MemberProtocol[],
    sessionTimeoutMs: number,
    rebalanceTimeoutMs: number,
  ): void {
    this.#countSupport(member, -1)
    member.setProtocols(protocols)
    this.#countSupport(member, 1)
    member.sessionTimeoutMs = sessionTimeoutMs
    member.rebalanceTimeoutMs = rebalanceTimeoutMs
    this.#charge(member)
  }

  assign(member: Member, assignment: Buffer): void {
    member.assignment = assignment
    this.#charge(member)
  }

  /** The next member becomes leader when it was; its requests must have been answered. */
  remove(member: Member): void {
    assert(!member.isAwaitingJoin && !member.isAwaitingSync, 'a member leaves when its requests are answered')
    if (!this.members.delete(member.memberId)) return
    member.session.clear()
    this.#countSupport(member, -1)
    this.#usage.members--
    this.#usage.metadataBytes -= this.#charged.get(member) ?? 0
    this.#charged.delete(member)
    this.pendingSync.delete(member.memberId)
    if (member.groupInstanceId !== null) this.staticMembers.delete(member.groupInstanceId)
    if (this.leader === member.memberId) this.leader = firstKey(this.members)
  }

  addPending(memberId: string, session: Deadline): void {
    this.pendingJoin.set(memberId, session)
    this.#usage.members++
  }

  /** False when the id was not pending. */
  removePending(memberId: string): boolean {
    const session = this.pendingJoin.get(memberId)
    if (session === undefined) return false
    session.clear()
    this.pendingJoin.delete(memberId)
    this.#usage.members--
    return true
  }

  /** Throws `fencedInstance` when another member holds the instance id, `unknownMember` when nobody does or the id is unknown. */
  member(memberId: string, groupInstanceId: string | null): Member {
    if (groupInstanceId !== null) {
      const holder = this.staticMembers.get(groupInstanceId)
      if (holder === undefined) throw unknownMember(this.groupId, groupInstanceId)
      if (holder !== memberId) {
        throw new BrokerError('fencedInstance', `another member of group ${this.groupId} is ${groupInstanceId} now`)
      }
    }
    const member = this.members.get(memberId)
    if (member === undefined) throw unknownMember(this.groupId, memberId)
    return member
  }

  checkGeneration(generation: number): void {
    if (generation === this.generation) return
    throw new BrokerError('illegalGeneration', `group ${this.groupId} is at generation ${this.generation}`)
  }

  /** An empty group takes any protocol; a later member needs one that all members support. */
  supports(protocolType: string, names: readonly string[]): boolean {
    if (this.#state === 'Empty') return protocolType !== '' && names.length > 0
    if (this.protocolType !== protocolType) return false
    return names.some(name => (this.#supporters.get(name) ?? 0) === this.members.size)
  }

  /** Among the protocols that all members support, the one that most of them prefer. */
  selectProtocol(): string {
    const common = [...this.#supporters].filter(([, count]) => count === this.members.size)
    const candidates = new Set(common.map(([name]) => name))
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const choice = member.vote(candidates)
      votes.set(choice, (votes.get(choice) ?? 0) + 1)
    }
    return [...votes].reduce((best, vote) => (vote[1] > best[1] ? vote : best))[0]
  }

  /** The leader stays if it joined again, else the first member that did. False when no member did. */
  electLeader(): boolean {
    if (this.leader === null) return false
    if (this.members.get(this.leader)?.isAwaitingJoin) return true
    for (const member of this.members.values()) {
      if (!member.isAwaitingJoin) continue
      this.leader = member.memberId
      return true
    }
    return false
  }

  /** What a member gets to know of the present generation. */
  joinResult(
    memberId: string,
    options: { leader?: string | null; skipAssignment?: boolean; members?: boolean } = {},
  ): JoinResult {
    const withMembers = options.members ?? memberId === this.leader
    return {
      memberId,
      generation: this.generation,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      leader: options.leader ?? this.leader ?? '',
      skipAssignment: options.skipAssignment ?? false,
      members: withMembers ? this.#joinedMembers() : [],
    }
  }

  /** As it is stored. */
  metadata(assignments?: ReadonlyMap<string, Buffer>): GroupMetadata {
    const { generation, protocolType, protocolName, leader, since } = this
    const members = [...this.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      subscription: member.metadataOf(protocolName),
      assignment: assignments?.get(member.memberId) ?? member.assignment,
    }))
    return { generation, protocolType, protocolName, leader, since, members }
  }

  #joinedMembers(): JoinedMember[] {
    return [...this.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: member.metadataOf(this.protocolName),
    }))
  }

  /** Brings what is charged for the member up to its present size. */
  #charge(member: Member): void {
    const before = this.#charged.get(member)
    const { bytes } = member
    if (before === undefined) this.#usage.members++
    this.#usage.metadataBytes += bytes - (before ?? 0)
    this.#charged.set(member, bytes)
  }

  #countSupport(member: Member, by: 1 | -1): void {
    for (const { name } of member.protocols) {
      const count = (this.#supporters.get(name) ?? 0) + by
      if (count === 0) this.#supporters.delete(name)
      else this.#supporters.set(name, count)
    }
  }
}

const firstKey = (map: ReadonlyMap<string, unknown>): string | null => map.keys().next().value ?? null

export const unknownMember = (groupId: string, memberId: string): BrokerError =>
  new BrokerError('unknownMember', `group ${groupId} has no member ${memberId}; join again`)
