import { defineApi } from '../api.ts'
import { array, int16, int32, string, struct } from '../fields.ts'

/**
 * DeleteGroups (42): deletes empty groups. Versions 0-2.
 * - 0 group ids
 * - 1 throttled answers are sent at once
 * - 2 flexible
 */
export const deleteGroups = defineApi({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexible: 2,
  request: {
    groupsNames: array(string()),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array(
      struct({
        groupId: string(),
        errorCode: int16(),
      }),
    ),
  },
})
