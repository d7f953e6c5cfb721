import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, nullableArray, nullableString, string, struct } from '../fields.ts'

/**
 * CreatePartitions (37): adds partitions to topics. Versions 0-3.
 * - 0 new count, optional assignments
 * - 1 throttled answers are sent at once
 * - 2 flexible
 * - 3 THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
 */
export const createPartitions = defineApi({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexible: 2,
  request: {
    topics: array(
      struct({
        name: string(),
        count: int32(),
        assignments: nullableArray(
          struct({
            brokerIds: array(int32()),
          }),
        ),
      }),
    ),
    timeoutMs: int32(),
    validateOnly: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array(
      struct({
        name: string(),
        errorCode: int16(),
        errorMessage: nullableString({ default: null }),
      }),
    ),
  },
})
