import { defineApi } from '../api.ts'
import { array, int16, int32, nullableString, string, struct, uuid } from '../fields.ts'

/**
 * DeleteTopics (20): deletes topics. Versions 1-6.
 * - 1 by name; throttle time
 * - 2 throttled answers are sent at once
 * - 3 TOPIC_DELETION_DISABLED may be answered
 * - 4 flexible
 * - 5 error message; THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
 * - 6 by name or topic id (KIP-516)
 */
export const deleteTopics = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexible: 4,
  request: {
    topics: array(
      struct({
        name: nullableString({ default: null }),
        topicId: uuid(),
      }),
      { since: 6 },
    ),
    topicNames: array(string(), { until: 5, ignorable: true }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    responses: array(
      struct({
        name: nullableString({ nullableSince: 6 }),
        topicId: uuid({ since: 6, ignorable: true }),
        errorCode: int16(),
        errorMessage: nullableString({ since: 5, default: null, ignorable: true }),
      }),
    ),
  },
})
