import { defineApi } from '../api.ts'
import { int16, int32, nullableString, string } from '../fields.ts'

/**
 * Heartbeat (12): keeps a member of a classic group alive. Versions 0-4.
 * - 0 group, generation, member
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 group instance id (KIP-345)
 * - 4 flexible
 */
export const heartbeat = defineApi({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexible: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: nullableString({ since: 3, default: null }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    errorCode: int16(),
  },
})
