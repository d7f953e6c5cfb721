import { defineApi } from '../api.ts'
import { array, boolean, bytes, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * DescribeGroups (15): state and members of classic groups. Versions 0-6.
 * - 0 state, protocol, members
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 authorized operations
 * - 4 group instance id of members (KIP-345)
 * - 5 flexible
 * - 6 error message; GROUP_ID_NOT_FOUND for an unknown group (KIP-1043)
 */
export const describeGroups = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexible: 5,
  request: {
    groups: array(string()),
    includeAuthorizedOperations: boolean({ since: 3 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    groups: array(
      struct({
        errorCode: int16(),
        errorMessage: nullableString({ since: 6, default: null }),
        groupId: string(),
        groupState: string(),
        protocolType: string(),
        protocolData: string(),
        members: array(
          struct({
            memberId: string(),
            groupInstanceId: nullableString({ since: 4, default: null, ignorable: true }),
            clientId: string(),
            clientHost: string(),
            memberMetadata: bytes(),
            memberAssignment: bytes(),
          }),
        ),
        authorizedOperations: int32({ since: 3, default: -2147483648 }),
      }),
    ),
  },
})
