import { defineApi } from '../api.ts'
import { boolean, int16, int32, int64, string } from '../fields.ts'

/**
 * EndTxn (26): commits or aborts a transaction. Versions 0-5.
 * - 0 transactional id, producer id and epoch
 * - 1 throttled answers are sent at once
 * - 2 PRODUCER_FENCED may be answered
 * - 3 flexible
 * - 4 TRANSACTION_ABORTABLE may be answered (KIP-890)
 * - 5 the epoch rises with each transaction and is answered (KIP-890)
 */
export const endTxn = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexible: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    producerId: int64({ since: 5, default: -1, ignorable: true }),
    producerEpoch: int16({ since: 5, default: -1, ignorable: true }),
  },
})
