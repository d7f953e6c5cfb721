import { defineApi } from '../api.ts'
import { array, boolean, bytes, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * JoinGroup (11): enters a classic group and waits for its next generation. Versions 0-9.
 * - 0 session timeout only
 * - 1 rebalance timeout of its own
 * - 2 throttle time
 * - 3 throttled answers are sent at once
 * - 4 MEMBER_ID_REQUIRED: join again with the id given (KIP-394)
 * - 5 group instance id (KIP-345)
 * - 6 flexible
 * - 7 protocol type in the answer; protocol name may be null (KIP-559)
 * - 8 reason (KIP-800)
 * - 9 skip assignment (KIP-814)
 */
export const joinGroup = defineApi({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexible: 6,
  request: {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32({ since: 1, default: -1, ignorable: true }),
    memberId: string(),
    groupInstanceId: nullableString({ since: 5, default: null }),
    protocolType: string(),
    protocols: array(
      struct({
        name: string(),
        metadata: bytes(),
      }),
    ),
    reason: nullableString({ since: 8, default: null, ignorable: true }),
  },
  response: {
    throttleTimeMs: int32({ since: 2, ignorable: true }),
    errorCode: int16(),
    generationId: int32({ default: -1 }),
    protocolType: nullableString({ since: 7, default: null, ignorable: true }),
    protocolName: nullableString({ nullableSince: 7 }),
    leader: string(),
    skipAssignment: boolean({ since: 9, default: false }),
    memberId: string(),
    members: array(
      struct({
        memberId: string(),
        groupInstanceId: nullableString({ since: 5, default: null, ignorable: true }),
        metadata: bytes(),
      }),
    ),
  },
})
