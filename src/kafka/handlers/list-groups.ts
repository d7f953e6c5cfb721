import { listGroups } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

const classic = 'classic'

/**
 * ListGroups (16), versions 0-5. All groups are classic ones.
 * - v4: filter by state
 * - v5: filter by type
 */
export const handleListGroups = defineHandler(listGroups, async (request, context) => {
  const states = request.statesFilter.map(state => state.toLowerCase())
  const types = request.typesFilter.map(type => type.toLowerCase())
  if (types.length > 0 && !types.includes(classic)) return { errorCode: 0, groups: [] }
  try {
    const groups = await context.services.groups.list()
    return {
      errorCode: 0,
      groups: groups
        .filter(({ state }) => states.length === 0 || states.includes(state.toLowerCase()))
        .map(({ groupId, protocolType, state }) => ({ groupId, protocolType, groupState: state, groupType: classic })),
    }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode, groups: [] }
  }
})
