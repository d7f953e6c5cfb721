import type { ErrorKind } from '../../core/errors.ts'
import { type Group, unknownMember } from './group.ts'
import type { LeaveRequest, LeaveResult } from './groups.ts'
import type { Rebalance } from './rebalance.ts'
import { asBrokerError } from './store.ts'

/** LeaveGroup: members of one request leave together, so that they cause one rebalance. */
export function leave(group: Group, request: LeaveRequest, rebalance: Rebalance): LeaveResult {
  const result = request.members.map(identity => ({ ...identity, error: leaveOne(group, identity, rebalance) }))
  if (result.some(({ error }) => error === undefined)) {
    if (group.state === 'PreparingRebalance') rebalance.completeIfAllJoined(group)
    else rebalance.afterRemoval(group, 'members left')
  }
  return result
}

/** Who gives an instance id alone is an operator that removes a static member by name. */
function leaveOne(
  group: Group,
  { memberId, groupInstanceId }: LeaveRequest['members'][number],
  rebalance: Rebalance,
): ErrorKind | undefined {
  if (group.removePending(memberId)) return undefined
  try {
    const holderId = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
    const member = group.member(memberId === '' ? (holderId ?? '') : memberId, groupInstanceId)
    rebalance.evict(group, member, unknownMember(group.groupId, member.memberId))
    return undefined
  } catch (error) {
    return asBrokerError(error).kind
  }
}
