import { defineApi } from '../api.ts'
import { int16, int32, int64, nullableString } from '../fields.ts'

/**
 * InitProducerId (22): a producer id and epoch. Versions 0-5; version 6 (KIP-939) is unstable in Kafka 4.3.1 and not served.
 * - 0 transactional id or null
 * - 1 throttled answers are sent at once
 * - 2 flexible
 * - 3 id and epoch of a producer that resumes (KIP-360)
 * - 4 PRODUCER_FENCED may be answered
 * - 5 TRANSACTION_ABORTABLE may be answered (KIP-890)
 */
export const initProducerId = defineApi({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexible: 2,
  request: {
    transactionalId: nullableString(),
    transactionTimeoutMs: int32(),
    producerId: int64({ since: 3, default: -1 }),
    producerEpoch: int16({ since: 3, default: -1 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0, ignorable: true }),
    errorCode: int16(),
    producerId: int64({ default: -1 }),
    producerEpoch: int16(),
  },
})
