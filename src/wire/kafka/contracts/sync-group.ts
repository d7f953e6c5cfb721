import { defineApi } from '../api.ts'
import { array, bytes, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * SyncGroup (14): hands the leader's assignment to all members. Versions 0-5.
 * - 0 group, generation, member, assignments
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 group instance id (KIP-345)
 * - 4 flexible
 * - 5 protocol type and name, checked by the broker (KIP-559)
 */
export const syncGroup = defineApi({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexible: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: nullableString({ since: 3, default: null }),
    protocolType: nullableString({ since: 5, default: null, ignorable: true }),
    protocolName: nullableString({ since: 5, default: null, ignorable: true }),
    assignments: array(
      struct({
        memberId: string(),
        assignment: bytes(),
      }),
    ),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    errorCode: int16(),
    protocolType: nullableString({ since: 5, default: null, ignorable: true }),
    protocolName: nullableString({ since: 5, default: null, ignorable: true }),
    assignment: bytes(),
  },
})
