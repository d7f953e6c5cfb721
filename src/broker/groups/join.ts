import { BrokerError } from '../../core/errors.ts'
import { uuidFromRandom } from '../../core/uuid.ts'
import { type Group, unknownMember } from './group.ts'
import { type JoinRequest, type JoinResult, MemberIdRequired } from './groups.ts'
import { Member, type Parked, protocolsBytes } from './member.ts'
import type { Rebalance } from './rebalance.ts'
import { type GroupSettings, maxIdLength, newMemberJoinTimeoutMs } from './settings.ts'
import { joinStaticMemberAgain } from './static-member.ts'

/**
 * JoinGroup: answers `parked` now or when the rebalance completes, or throws what it is refused with. The timeouts of the request were
 * checked (`checkedTimeouts`).
 */
export function join(group: Group, request: JoinRequest, parked: Parked<JoinResult>, rebalance: Rebalance): void {
  checkRoom(group, request, rebalance)
  const names = request.protocols.map(({ name }) => name)
  if (!group.supports(request.protocolType, names)) {
    throw new BrokerError(
      'inconsistentGroupProtocol',
      `group ${group.groupId} (${group.protocolType ?? 'new'}) has no protocol in common with ${request.protocolType}: ${names}`,
    )
  }
  if (request.memberId === '') joinNewMember(group, request, parked, rebalance)
  else joinKnownMember(group, request, parked, rebalance)
}

/** The request with a rebalance timeout, which JoinGroup v0 has not; throws `invalidSessionTimeout`. */
export function checkedTimeouts(request: JoinRequest, settings: GroupSettings): JoinRequest {
  const { sessionTimeoutMs, rebalanceTimeoutMs } = request
  const { minSessionTimeoutMs, maxSessionTimeoutMs } = settings
  if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
    throw new BrokerError(
      'invalidSessionTimeout',
      `session timeout ${sessionTimeoutMs} ms is not within ${minSessionTimeoutMs} to ${maxSessionTimeoutMs} ms`,
    )
  }
  return rebalanceTimeoutMs < 0 ? { ...request, rebalanceTimeoutMs: sessionTimeoutMs } : request
}

/** `group.max.size` as Kafka counts it, then the limits over all groups. */
function checkRoom(group: Group, request: JoinRequest, rebalance: Rebalance): void {
  const { registry } = rebalance
  const { maxSize, maxMembers, maxMetadataBytes } = rebalance.context.settings
  const member = group.members.get(request.memberId)
  if (!hasPlace(group, member, request.memberId, maxSize)) {
    if (member !== undefined) rebalance.evict(group, member, unknownMember(group.groupId, member.memberId))
    group.removePending(request.memberId)
    rebalance.completeIfAllJoined(group)
    throw registry.refusal('members', `group ${group.groupId} has ${maxSize} members already`)
  }
  const isNew = member === undefined && !group.pendingJoin.has(request.memberId)
  if (isNew && registry.usage.members >= maxMembers) {
    throw registry.refusal('members', `all groups together have ${maxMembers} members already`)
  }
  if ((request.groupInstanceId?.length ?? 0) > maxIdLength) {
    throw new BrokerError('invalidRequest', `a group instance id has at most ${maxIdLength} characters`)
  }
  const moreBytes = protocolsBytes(request.protocols) - (member === undefined ? 0 : protocolsBytes(member.protocols))
  if (registry.usage.metadataBytes + moreBytes > maxMetadataBytes) {
    throw registry.refusal('metadata', `the subscriptions of all members exceed ${maxMetadataBytes} bytes`)
  }
}

/**
 * While a rebalance is prepared those count that wait for it, so that when the limit was lowered the last ones to join again are
 * turned away.
 */
function hasPlace(group: Group, member: Member | undefined, memberId: string, maxSize: number): boolean {
  if (member === undefined && memberId === '' && group.pendingJoin.size >= maxSize) return false
  if (group.state === 'Empty') return true
  if (group.state === 'PreparingRebalance') return member?.isAwaitingJoin || group.awaitingJoinCount < maxSize
  return member !== undefined || group.members.size < maxSize
}

function joinNewMember(group: Group, request: JoinRequest, parked: Parked<JoinResult>, rebalance: Rebalance): void {
  const { groupInstanceId, clientId } = request
  const memberId = `${groupInstanceId ?? clientId}-${dashed(uuidFromRandom(rebalance.context.random.bytes(16)))}`
  const holderId = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
  if (holderId !== undefined) {
    joinStaticMemberAgain(group, group.member(holderId, groupInstanceId), memberId, request, parked, rebalance)
    return
  }
  if (groupInstanceId === null && request.needsKnownMemberId) {
    const session = rebalance.sessionOf(group, memberId)
    group.addPending(memberId, session)
    session.set(request.sessionTimeoutMs)
    throw new MemberIdRequired(memberId)
  }
  addMember(group, memberId, request, parked, rebalance)
}

function joinKnownMember(group: Group, request: JoinRequest, parked: Parked<JoinResult>, rebalance: Rebalance): void {
  const { memberId, groupInstanceId, protocols } = request
  if (group.pendingJoin.has(memberId)) {
    if (groupInstanceId !== null) {
      throw new BrokerError('invalidRequest', `member ${memberId} was given its id as a dynamic member`)
    }
    group.removePending(memberId)
    addMember(group, memberId, request, parked, rebalance)
    return
  }
  const member = group.member(memberId, groupInstanceId)
  const unchanged = member.supportsExactly(protocols)
  // it may not have got the answer to its join
  const asksAgain = group.state === 'CompletingRebalance' && unchanged
  // a leader that joins again wants a rebalance: topics may have changed
  const nothingNew = group.state === 'Stable' && unchanged && group.leader !== memberId
  if (asksAgain || nothingNew) {
    parked.resolve(group.joinResult(memberId))
    return
  }
  group.update(member, protocols, request.sessionTimeoutMs, request.rebalanceTimeoutMs)
  member.parkJoin(parked)
  rebalance.prepareOrComplete(group, `member ${memberId} joined again`)
}

function addMember(
  group: Group,
  memberId: string,
  request: JoinRequest,
  parked: Parked<JoinResult>,
  rebalance: Rebalance,
): void {
  const member = new Member({ ...request, memberId }, rebalance.sessionOf(group, memberId))
  member.isNew = true
  member.sessionTimeoutMs = request.sessionTimeoutMs
  member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
  member.setProtocols(request.protocols)
  if (group.isInitialRebalance) group.newMemberAdded = true
  if (group.members.size === 0) group.protocolType = request.protocolType
  group.add(member)
  member.parkJoin(parked)
  member.session.set(newMemberJoinTimeoutMs)
  rebalance.prepareOrComplete(group, `member ${memberId} joined`)
}

const dashed = (uuid: string): string => uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
