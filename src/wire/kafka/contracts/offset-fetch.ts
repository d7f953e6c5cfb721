import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, int64, nullableArray, nullableString, string, struct, uuid } from '../fields.ts'

/**
 * OffsetFetch (9): committed offsets of groups. Versions 1-10.
 * - 1 one group, offsets kept by the broker
 * - 2 null topics means all; top-level error code
 * - 3 throttle time
 * - 4 throttled answers are sent at once
 * - 5 committed leader epoch
 * - 6 flexible
 * - 7 require stable: pending transactional offsets are an error (KIP-447)
 * - 8 several groups in one request (KIP-709)
 * - 9 member id and epoch (KIP-848)
 * - 10 topic ids in place of names (KIP-848)
 */
export const offsetFetch = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexible: 6,
  request: {
    groupId: string({ until: 7 }),
    topics: nullableArray(
      struct({
        name: string(),
        partitionIndexes: array(int32()),
      }),
      { until: 7, nullableSince: 2 },
    ),
    groups: array(
      struct({
        groupId: string(),
        memberId: nullableString({ since: 9, default: null, ignorable: true }),
        memberEpoch: int32({ since: 9, default: -1, ignorable: true }),
        topics: nullableArray(
          struct({
            name: string({ until: 9, ignorable: true }),
            topicId: uuid({ since: 10, ignorable: true }),
            partitionIndexes: array(int32()),
          }),
        ),
      }),
      { since: 8 },
    ),
    requireStable: boolean({ since: 7, default: false }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, ignorable: true }),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: int32({ since: 5, default: -1, ignorable: true }),
            metadata: nullableString(),
            errorCode: int16(),
          }),
        ),
      }),
      { until: 7 },
    ),
    errorCode: int16({ since: 2, until: 7, default: 0, ignorable: true }),
    groups: array(
      struct({
        groupId: string(),
        topics: array(
          struct({
            name: string({ until: 9, ignorable: true }),
            topicId: uuid({ since: 10, ignorable: true }),
            partitions: array(
              struct({
                partitionIndex: int32(),
                committedOffset: int64(),
                committedLeaderEpoch: int32({ default: -1, ignorable: true }),
                metadata: nullableString(),
                errorCode: int16(),
              }),
            ),
          }),
        ),
        errorCode: int16({ default: 0 }),
      }),
      { since: 8 },
    ),
  },
})
