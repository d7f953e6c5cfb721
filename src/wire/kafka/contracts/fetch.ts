import { defineApi } from '../api.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  int64Big,
  nullableArray,
  nullableString,
  records,
  string,
  struct,
  uuid,
} from '../fields.ts'

/**
 * Fetch (1): reads record batches from partitions. Versions 4-18.
 * - 4 isolation level, last stable offset, aborted transactions; magic 2
 * - 5 log start offset
 * - 6 KAFKA_STORAGE_ERROR may be answered
 * - 7 incremental fetch sessions (KIP-227), top-level error
 * - 8 throttled answers are sent at once
 * - 9 current leader epoch (KIP-320)
 * - 10 zstd batches may be answered (KIP-110)
 * - 11 rack id and preferred read replica (KIP-392)
 * - 12 flexible; last fetched epoch, diverging epoch, current leader
 * - 13 topic ids in place of names (KIP-516)
 * - 14 OFFSET_MOVED_TO_TIERED_STORAGE may be answered (KIP-405)
 * - 15 replica id moves into a tagged replica state (KIP-903)
 * - 16 node endpoints in the answer (KIP-951)
 * - 17 replica directory id (KIP-853)
 * - 18 high watermark of the follower (KIP-1166)
 */
export const fetch = defineApi({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexible: 12,
  request: {
    clusterId: nullableString({ tagged: { tag: 0, since: 12 }, default: null, ignorable: true }),
    replicaId: int32({ until: 14, default: -1 }),
    replicaState: struct(
      {
        replicaId: int32({ default: -1 }),
        replicaEpoch: int64({ default: -1 }),
      },
      { tagged: { tag: 1, since: 15 } },
    ),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32({ default: 0x7fffffff, ignorable: true }),
    isolationLevel: int8({ default: 0, ignorable: true }),
    sessionId: int32({ since: 7, default: 0, ignorable: true }),
    sessionEpoch: int32({ since: 7, default: -1, ignorable: true }),
    topics: array(
      struct({
        topic: string({ until: 12, ignorable: true }),
        topicId: uuid({ since: 13, ignorable: true }),
        partitions: array(
          struct({
            partition: int32(),
            currentLeaderEpoch: int32({ since: 9, default: -1, ignorable: true }),
            fetchOffset: int64(),
            lastFetchedEpoch: int32({ since: 12, default: -1 }),
            logStartOffset: int64({ since: 5, default: -1, ignorable: true }),
            partitionMaxBytes: int32(),
            replicaDirectoryId: uuid({ tagged: { tag: 0, since: 17 }, ignorable: true }),
            highWatermark: int64Big({ tagged: { tag: 1, since: 18 }, default: 9223372036854775807n, ignorable: true }),
          }),
        ),
      }),
    ),
    forgottenTopicsData: array(
      struct({
        topic: string({ until: 12, ignorable: true }),
        topicId: uuid({ since: 13, ignorable: true }),
        partitions: array(int32()),
      }),
      { since: 7 },
    ),
    rackId: string({ since: 11, default: '', ignorable: true }),
  },
  response: {
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    errorCode: int16({ since: 7, ignorable: true }),
    sessionId: int32({ since: 7, default: 0 }),
    responses: array(
      struct({
        topic: string({ until: 12, ignorable: true }),
        topicId: uuid({ since: 13, ignorable: true }),
        partitions: array(
          struct({
            partitionIndex: int32(),
            errorCode: int16(),
            highWatermark: int64(),
            lastStableOffset: int64({ default: -1, ignorable: true }),
            logStartOffset: int64({ since: 5, default: -1, ignorable: true }),
            divergingEpoch: struct(
              {
                epoch: int32({ default: -1 }),
                endOffset: int64({ default: -1 }),
              },
              { tagged: { tag: 0, since: 12 } },
            ),
            currentLeader: struct(
              {
                leaderId: int32({ default: -1 }),
                leaderEpoch: int32({ default: -1 }),
              },
              { tagged: { tag: 1, since: 12 } },
            ),
            snapshotId: struct(
              {
                endOffset: int64({ default: -1 }),
                epoch: int32({ default: -1 }),
              },
              { tagged: { tag: 2, since: 12 } },
            ),
            abortedTransactions: nullableArray(
              struct({
                producerId: int64(),
                firstOffset: int64(),
              }),
              { ignorable: true },
            ),
            preferredReadReplica: int32({ since: 11, default: -1 }),
            records: records(),
          }),
        ),
      }),
    ),
    nodeEndpoints: array(
      struct({
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: nullableString({ default: null }),
      }),
      { tagged: { tag: 0, since: 16 } },
    ),
  },
})
