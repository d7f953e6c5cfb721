import { deleteGroups } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/** DeleteGroups (42), versions 0-2. Deletes empty groups with their offsets; an error for each. All versions are alike. */
export const handleDeleteGroups = defineHandler(deleteGroups, async (request, context) => {
  const groupIds = request.groupsNames
  try {
    const kinds = await context.services.groups.delete(groupIds)
    return { results: groupIds.map((groupId, index) => ({ groupId, errorCode: context.codeOf(kinds[index]) })) }
  } catch (error) {
    const { errorCode } = context.refusal(error)
    return { results: groupIds.map(groupId => ({ groupId, errorCode })) }
  }
})
