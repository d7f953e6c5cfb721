import { MemberIdRequired } from '../../broker/groups/groups.ts'
import { joinGroup } from '../../wire/kafka/contracts/index.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

/**
 * JoinGroup (11), versions 0-9. Waits until the group has its next generation; only the leader gets the members.
 * - v0: no rebalance timeout: the session timeout counts
 * - v4: a dynamic member without id gets MEMBER_ID_REQUIRED and an id to join with (KIP-394)
 * - v5: group instance id: static members (KIP-345)
 * - v7: protocol type in the answer; no protocol name is null, before it is ''
 * - v8: a reason, not kept
 * - v9: a static leader that comes back is told to keep the assignment (KIP-814)
 */
export const handleJoinGroup = defineHandler(joinGroup, async (request, context) => {
  const { services, version, clientId, peer } = context
  try {
    const joined = await services.groups.join({
      ...request,
      clientId,
      clientHost: peer.clientHost,
      needsKnownMemberId: version >= 4,
      knowsSkipAssignment: version >= 9,
    })
    return {
      errorCode: 0,
      generationId: joined.generation,
      protocolType: joined.protocolType,
      protocolName: named(joined.protocolName, version),
      leader: joined.leader,
      skipAssignment: joined.skipAssignment,
      memberId: joined.memberId,
      members: [...joined.members],
    }
  } catch (error) {
    return refused(error, request.memberId, context)
  }
})

function refused(error: unknown, memberId: string, context: RequestContext) {
  return {
    errorCode: context.refusal(error).errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: named(null, context.version),
    leader: '',
    memberId: error instanceof MemberIdRequired ? error.memberId : memberId,
    members: [],
  }
}

const named = (protocolName: string | null, version: number): string | null =>
  version >= 7 ? protocolName : (protocolName ?? '')
