import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, nullableArray, nullableString, string, struct, uuid } from '../fields.ts'

/**
 * Metadata (3): brokers, topics and partition leaders. Versions 0-13.
 * - 0 empty topic list means all
 * - 1 null topic list means all; rack, controller id, internal flag
 * - 2 cluster id
 * - 3 throttle time
 * - 4 the client chooses auto-creation
 * - 5 offline replicas
 * - 6 throttled answers are sent at once
 * - 7 leader epoch
 * - 8 authorized operations
 * - 9 flexible
 * - 10 topic ids; a name may be null (not yet honoured by servers)
 * - 11 cluster authorized operations move to DescribeCluster (KIP-700)
 * - 12 topics may be asked by id
 * - 13 top-level error code
 */
export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexible: 9,
  request: {
    topics: nullableArray(
      struct({
        topicId: uuid({ since: 10, ignorable: true }),
        name: nullableString({ nullableSince: 10 }),
      }),
      { nullableSince: 1 },
    ),
    allowAutoTopicCreation: boolean({ since: 4, default: true }),
    includeClusterAuthorizedOperations: boolean({ since: 8, until: 10 }),
    includeTopicAuthorizedOperations: boolean({ since: 8 }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, ignorable: true }),
    brokers: array(
      struct({
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: nullableString({ since: 1, default: null, ignorable: true }),
      }),
    ),
    clusterId: nullableString({ since: 2, default: null, ignorable: true }),
    controllerId: int32({ since: 1, default: -1, ignorable: true }),
    topics: array(
      struct({
        errorCode: int16(),
        name: nullableString({ nullableSince: 12 }),
        topicId: uuid({ since: 10, ignorable: true }),
        isInternal: boolean({ since: 1, default: false, ignorable: true }),
        partitions: array(
          struct({
            errorCode: int16(),
            partitionIndex: int32(),
            leaderId: int32(),
            leaderEpoch: int32({ since: 7, default: -1, ignorable: true }),
            replicaNodes: array(int32()),
            isrNodes: array(int32()),
            offlineReplicas: array(int32(), { since: 5, ignorable: true }),
          }),
        ),
        topicAuthorizedOperations: int32({ since: 8, default: -2147483648 }),
      }),
    ),
    clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -2147483648 }),
    errorCode: int16({ since: 13, ignorable: true }),
  },
})
