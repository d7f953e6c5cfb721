import { defineApi } from '../api.ts'
import { array, int16, int32, string, struct } from '../fields.ts'

/**
 * ListGroups (16): all groups of this broker. Versions 0-5.
 * - 0 group id and protocol type
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 flexible
 * - 4 filter by state (KIP-518)
 * - 5 filter by type (KIP-848)
 */
export const listGroups = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexible: 3,
  request: {
    statesFilter: array(string(), { since: 4 }),
    typesFilter: array(string(), { since: 5 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    errorCode: int16(),
    groups: array(
      struct({
        groupId: string(),
        protocolType: string(),
        groupState: string({ since: 4, ignorable: true }),
        groupType: string({ since: 5, ignorable: true }),
      }),
    ),
  },
})
