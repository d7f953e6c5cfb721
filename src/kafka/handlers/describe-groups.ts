import type { GroupDescription } from '../../broker/groups/groups.ts'
import { BrokerError } from '../../core/errors.ts'
import { describeGroups } from '../../wire/kafka/contracts/index.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

/**
 * DescribeGroups (15), versions 0-6. State, members and assignments. A group named twice is answered once.
 * - v3: authorized operations, always "not known"
 * - v4: group instance ids
 * - v6: an unknown group is GROUP_ID_NOT_FOUND; before, it is a group in state Dead
 */
export const handleDescribeGroups = defineHandler(describeGroups, async (request, context) => ({
  groups: await Promise.all([...new Set(request.groups)].map(groupId => describe(groupId, context))),
}))

async function describe(groupId: string, context: RequestContext) {
  try {
    const group = await context.services.groups.describe(groupId)
    if (group !== undefined) return shown(group)
    if (context.version < 6) return { ...dead(groupId), errorCode: 0 }
    throw new BrokerError('groupNotFound', `there is no group ${groupId}`)
  } catch (error) {
    const { errorCode, errorMessage } = context.refusal(error)
    return { ...dead(groupId), errorCode, ...(context.version >= 6 && { errorMessage }) }
  }
}

function shown({ groupId, state, protocolType, protocolName, members }: GroupDescription) {
  return {
    errorCode: 0,
    groupId,
    groupState: state,
    protocolType,
    protocolData: protocolName,
    members: members.map(({ metadata, assignment, ...member }) => ({
      ...member,
      memberMetadata: metadata,
      memberAssignment: assignment,
    })),
  }
}

const dead = (groupId: string) => ({ groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] })
