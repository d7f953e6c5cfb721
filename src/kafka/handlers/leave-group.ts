import { leaveGroup } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/**
 * LeaveGroup (13), versions 0-5. All members of a request leave in one rebalance.
 * - v0-v2: one member, its error is the answer's
 * - v3: several members, by member id or by group instance id alone; an error for each
 * - v5: a reason, not kept
 */
export const handleLeaveGroup = defineHandler(leaveGroup, (request, context) => {
  const { groupId, memberId } = request
  const single = context.version < 3
  const members = single ? [{ memberId, groupInstanceId: null }] : request.members
  try {
    const left = context.services.groups.leave({ groupId, members })
    if (single) return { errorCode: context.codeOf(left[0]?.error) }
    return {
      errorCode: 0,
      members: left.map(({ error, ...member }) => ({ ...member, errorCode: context.codeOf(error) })),
    }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode }
  }
})
