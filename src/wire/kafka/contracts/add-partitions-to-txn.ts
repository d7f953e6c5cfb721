import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, int64, string, struct } from '../fields.ts'

/**
 * AddPartitionsToTxn (24): the partitions that a transaction is about to write to. Versions 0-5.
 * - 0, 1 one transaction
 * - 2 PRODUCER_FENCED may be answered
 * - 3 flexible
 * - 4 several transactions, verify only, error code at the top: what brokers send each other (KIP-890)
 * - 5 TRANSACTION_ABORTABLE may be answered (KIP-890)
 */
export const addPartitionsToTxn = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexible: 3,
  request: {
    transactions: array(
      struct({
        transactionalId: string(),
        producerId: int64(),
        producerEpoch: int16(),
        verifyOnly: boolean({ default: false }),
        topics: array(struct({ name: string(), partitions: array(int32()) })),
      }),
      { since: 4 },
    ),
    v3AndBelowTransactionalId: string({ until: 3 }),
    v3AndBelowProducerId: int64({ until: 3 }),
    v3AndBelowProducerEpoch: int16({ until: 3 }),
    v3AndBelowTopics: array(struct({ name: string(), partitions: array(int32()) }), { until: 3 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ since: 4, ignorable: true }),
    resultsByTransaction: array(
      struct({
        transactionalId: string(),
        topicResults: array(
          struct({
            name: string(),
            resultsByPartition: array(struct({ partitionIndex: int32(), partitionErrorCode: int16() })),
          }),
        ),
      }),
      { since: 4 },
    ),
    resultsByTopicV3AndBelow: array(
      struct({
        name: string(),
        resultsByPartition: array(struct({ partitionIndex: int32(), partitionErrorCode: int16() })),
      }),
      { until: 3 },
    ),
  },
})
