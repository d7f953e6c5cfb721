import { defineApi } from '../api.ts'
import { array, boolean, int8, int16, int32, nullableArray, nullableString, string, struct, uuid } from '../fields.ts'

/**
 * CreateTopics (19): creates topics. Versions 2-7.
 * - 2 error message, validate only, throttle time
 * - 3 throttled answers are sent at once
 * - 4 -1 for partitions and replication factor: broker defaults (KIP-464)
 * - 5 flexible; partitions, factor and configs in the answer (KIP-525)
 * - 6 THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
 * - 7 topic id in the answer (KIP-516)
 */
export const createTopics = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexible: 5,
  request: {
    topics: array(
      struct({
        name: string(),
        numPartitions: int32(),
        replicationFactor: int16(),
        assignments: array(
          struct({
            partitionIndex: int32(),
            brokerIds: array(int32()),
          }),
        ),
        configs: array(
          struct({
            name: string(),
            value: nullableString(),
          }),
        ),
      }),
    ),
    timeoutMs: int32({ default: 60000 }),
    validateOnly: boolean({ default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    topics: array(
      struct({
        name: string(),
        topicId: uuid({ since: 7, ignorable: true }),
        errorCode: int16(),
        errorMessage: nullableString({ ignorable: true }),
        topicConfigErrorCode: int16({ tagged: { tag: 0, since: 5 }, ignorable: true }),
        numPartitions: int32({ since: 5, default: -1, ignorable: true }),
        replicationFactor: int16({ since: 5, default: -1, ignorable: true }),
        configs: nullableArray(
          struct({
            name: string(),
            value: nullableString(),
            readOnly: boolean(),
            configSource: int8({ default: -1, ignorable: true }),
            isSensitive: boolean(),
          }),
          { since: 5, ignorable: true },
        ),
      }),
    ),
  },
})
