import { defineApi } from '../api.ts'
import { array, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * LeaveGroup (13): members leave a classic group. Versions 0-5.
 * - 0 one member
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 several members, by member id or group instance id (KIP-345)
 * - 4 flexible
 * - 5 reason (KIP-800)
 */
export const leaveGroup = defineApi({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexible: 4,
  request: {
    groupId: string(),
    memberId: string({ until: 2 }),
    members: array(
      struct({
        memberId: string(),
        groupInstanceId: nullableString({ default: null }),
        reason: nullableString({ since: 5, default: null, ignorable: true }),
      }),
      { since: 3 },
    ),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    errorCode: int16(),
    members: array(
      struct({
        memberId: string(),
        groupInstanceId: nullableString(),
        errorCode: int16(),
      }),
      { since: 3 },
    ),
  },
})
