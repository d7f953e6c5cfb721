import { defineApi } from '../api.ts'
import { array, int16, int32, int64, nullableString, string, struct, uuid } from '../fields.ts'

/**
 * OffsetCommit (8): stores committed offsets of a group. Versions 2-10.
 * - 2 retention time
 * - 3 throttle time
 * - 4 throttled answers are sent at once
 * - 5 no retention time
 * - 6 committed leader epoch
 * - 7 group instance id (KIP-345)
 * - 8 flexible
 * - 9 members of KIP-848 groups; STALE_MEMBER_EPOCH, GROUP_ID_NOT_FOUND
 * - 10 topic ids in place of names (KIP-848)
 */
export const offsetCommit = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexible: 8,
  request: {
    groupId: string(),
    generationIdOrMemberEpoch: int32({ default: -1, ignorable: true }),
    memberId: string({ ignorable: true }),
    groupInstanceId: nullableString({ since: 7, default: null }),
    retentionTimeMs: int64({ until: 4, default: -1, ignorable: true }),
    topics: array(
      struct({
        name: string({ until: 9, ignorable: true }),
        topicId: uuid({ since: 10, ignorable: true }),
        partitions: array(
          struct({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: int32({ since: 6, default: -1, ignorable: true }),
            committedMetadata: nullableString(),
          }),
        ),
      }),
    ),
  },
  response: {
    throttleTimeMs: int32({ since: 3, ignorable: true }),
    topics: array(
      struct({
        name: string({ until: 9, ignorable: true }),
        topicId: uuid({ since: 10, ignorable: true }),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
          }),
        ),
      }),
    ),
  },
})
