import { BrokerError } from '../../core/errors.ts'
import type { Group } from './group.ts'
import type { JoinRequest, JoinResult } from './groups.ts'
import { Member, type Parked } from './member.ts'
import type { Rebalance } from './rebalance.ts'
import { asBrokerError } from './store.ts'

/**
 * A static member (KIP-345) came back without its member id, after a restart: it gets a new id and takes over place and assignment
 * of the old one, which is fenced. In a Stable group whose protocol stays the same nobody else notices.
 */
export function joinStaticMemberAgain(
  group: Group,
  before: Member,
  memberId: string,
  request: JoinRequest,
  parked: Parked<JoinResult>,
  rebalance: Rebalance,
): void {
  const leaderBefore = group.leader
  const member = replaceMember(group, before, memberId, rebalance)
  group.update(member, request.protocols, request.sessionTimeoutMs, request.rebalanceTimeoutMs)
  member.parkJoin(parked)
  rebalance.touch(member)
  if (group.state === 'Stable' && group.selectProtocol() === group.protocolName) {
    storeReplacement(group, member, leaderBefore, request.knowsSkipAssignment, rebalance)
  } else {
    // also in CompletingRebalance: the leader may be assigning to the old id
    rebalance.prepareOrComplete(group, `static member ${request.groupInstanceId} came back`)
  }
}

function replaceMember(group: Group, before: Member, memberId: string, rebalance: Rebalance): Member {
  const wasLeader = group.leader === before.memberId
  const fenced = new BrokerError(
    'fencedInstance',
    `another member of group ${group.groupId} is ${before.groupInstanceId} now`,
  )
  const { groupInstanceId, clientId, clientHost } = before
  const member = new Member({ memberId, groupInstanceId, clientId, clientHost }, rebalance.sessionOf(group, memberId))
  member.sessionTimeoutMs = before.sessionTimeoutMs
  member.rebalanceTimeoutMs = before.rebalanceTimeoutMs
  member.setProtocols(before.protocols)
  member.assignment = before.assignment
  rebalance.evict(group, before, fenced)
  group.add(member)
  if (wasLeader) group.leader = memberId
  return member
}

/**
 * The join is answered once the new id is durable. Should that fail, memory keeps the new id: a client that tries again replaces it once more,
 * and after a restart only an id is known that nobody uses, which expires.
 */
function storeReplacement(
  group: Group,
  member: Member,
  leaderBefore: string | null,
  knowsSkipAssignment: boolean,
  rebalance: Rebalance,
): void {
  const { generation } = group
  rebalance.context.store.saveGroup(group).then(
    () => {
      // a rebalance that began meanwhile answers the join instead
      if (group.state !== 'Stable' || group.generation !== generation || !member.isAwaitingJoin) return
      member.answerJoin(replacementResult(group, member, leaderBefore, knowsSkipAssignment))
      rebalance.touch(member)
    },
    (error: unknown) => member.failJoin(asBrokerError(error)),
  )
}

/** A client that knows nothing of `skipAssignment` is told the old leader id, so that it does not assign on its own. */
function replacementResult(
  group: Group,
  { memberId }: Member,
  leaderBefore: string | null,
  knowsSkipAssignment: boolean,
): JoinResult {
  if (!knowsSkipAssignment) return group.joinResult(memberId, { leader: leaderBefore, members: false })
  return group.joinResult(memberId, { skipAssignment: memberId === group.leader })
}
