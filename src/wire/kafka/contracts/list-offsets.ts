import { defineApi } from '../api.ts'
import { array, int8, int16, int32, int64, string, struct } from '../fields.ts'

/**
 * ListOffsets (2): offsets by timestamp, or by special timestamps below zero. Versions 1-11.
 * - 1 one offset and its timestamp per partition
 * - 2 isolation level, throttle time
 * - 3 throttled answers are sent at once
 * - 4 leader epochs
 * - 5 OFFSET_NOT_AVAILABLE may be answered
 * - 6 flexible
 * - 7 timestamp -3: offset of the largest timestamp (KIP-734)
 * - 8 timestamp -4: earliest local offset (KIP-405)
 * - 9 timestamp -5: latest tiered offset (KIP-1005)
 * - 10 timeout for remote lookups (KIP-1075)
 * - 11 timestamp -6: earliest offset not yet uploaded (KIP-1023)
 */
export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexible: 6,
  request: {
    replicaId: int32(),
    isolationLevel: int8({ since: 2 }),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            currentLeaderEpoch: int32({ since: 4, default: -1, ignorable: true }),
            timestamp: int64(),
          }),
        ),
      }),
    ),
    timeoutMs: int32({ since: 10, ignorable: true }),
  },
  response: {
    throttleTimeMs: int32({ since: 2, ignorable: true }),
    topics: array(
      struct({
        name: string(),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            timestamp: int64({ default: -1 }),
            offset: int64({ default: -1 }),
            leaderEpoch: int32({ since: 4, default: -1 }),
          }),
        ),
      }),
    ),
  },
})
