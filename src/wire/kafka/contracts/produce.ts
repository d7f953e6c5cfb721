import { defineApi } from '../api.ts'
import { array, int16, int32, int64, nullableString, records, string, struct, uuid } from '../fields.ts'

/**
 * Produce (0): writes record batches to partitions. Versions 3-13; ApiVersions must claim 0-13 (KAFKA-18659).
 * - 3 transactional id; record batches of magic 2 only
 * - 4 KAFKA_STORAGE_ERROR may be answered
 * - 5 log start offset in the answer
 * - 6 as 5
 * - 7 zstd batches allowed (KIP-110)
 * - 8 record errors and error message in the answer (KIP-467)
 * - 9 flexible
 * - 10 current leader and node endpoints in the answer, tagged (KIP-951)
 * - 11 TRANSACTION_ABORTABLE may be answered (KIP-890)
 * - 12 adds the partitions to the transaction implicitly (KIP-890)
 * - 13 topic ids in place of names (KIP-516)
 */
export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  advertisedMin: 0,
  flexible: 9,
  request: {
    transactionalId: nullableString({ default: null }),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array(
      struct({
        name: string({ until: 12, ignorable: true }),
        topicId: uuid({ since: 13, ignorable: true }),
        partitionData: array(
          struct({
            index: int32(),
            records: records(),
          }),
        ),
      }),
    ),
  },
  response: {
    responses: array(
      struct({
        name: string({ until: 12, ignorable: true }),
        topicId: uuid({ since: 13, ignorable: true }),
        partitionResponses: array(
          struct({
            index: int32(),
            errorCode: int16(),
            baseOffset: int64(),
            logAppendTimeMs: int64({ default: -1, ignorable: true }),
            logStartOffset: int64({ since: 5, default: -1, ignorable: true }),
            recordErrors: array(
              struct({
                batchIndex: int32(),
                batchIndexErrorMessage: nullableString({ default: null }),
              }),
              { since: 8, ignorable: true },
            ),
            errorMessage: nullableString({ since: 8, default: null, ignorable: true }),
            currentLeader: struct(
              {
                leaderId: int32({ default: -1 }),
                leaderEpoch: int32({ default: -1 }),
              },
              { tagged: { tag: 0, since: 10 } },
            ),
          }),
        ),
      }),
    ),
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    nodeEndpoints: array(
      struct({
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: nullableString({ default: null }),
      }),
      { tagged: { tag: 0, since: 10 } },
    ),
  },
})
