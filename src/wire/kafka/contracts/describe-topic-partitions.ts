import { defineApi } from '../api.ts'
import {
  array,
  boolean,
  int16,
  int32,
  nullableArray,
  nullableString,
  nullableStruct,
  string,
  struct,
  uuid,
} from '../fields.ts'

/**
 * DescribeTopicPartitions (75): partitions of topics, page by page (KIP-966). Version 0, flexible.
 * - 0 a limit and a cursor
 */
export const describeTopicPartitions = defineApi({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexible: 0,
  request: {
    topics: array(
      struct({
        name: string(),
      }),
    ),
    responsePartitionLimit: int32({ default: 2000 }),
    cursor: nullableStruct(
      {
        topicName: string(),
        partitionIndex: int32(),
      },
      { default: null },
    ),
  },
  response: {
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    topics: array(
      struct({
        errorCode: int16(),
        name: nullableString(),
        topicId: uuid({ ignorable: true }),
        isInternal: boolean({ default: false, ignorable: true }),
        partitions: array(
          struct({
            errorCode: int16(),
            partitionIndex: int32(),
            leaderId: int32(),
            leaderEpoch: int32({ default: -1, ignorable: true }),
            replicaNodes: array(int32()),
            isrNodes: array(int32()),
            eligibleLeaderReplicas: nullableArray(int32(), { default: null }),
            lastKnownElr: nullableArray(int32(), { default: null }),
            offlineReplicas: array(int32(), { ignorable: true }),
          }),
        ),
        topicAuthorizedOperations: int32({ default: -2147483648 }),
      }),
    ),
    nextCursor: nullableStruct(
      {
        topicName: string(),
        partitionIndex: int32(),
      },
      { default: null },
    ),
  },
})
