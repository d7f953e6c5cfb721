import { BrokerError } from '../../core/errors.ts'
import { initProducerId } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/**
 * InitProducerId (22), versions 0-5. A new producer id with epoch 0 for an idempotent producer, durable before it is told. A
 * transactional id gets INVALID_REQUEST while transactions are not served.
 * - v3: id and epoch of a producer that resumes (KIP-360); without a transactional id Kafka gives a new id all the same
 * - v4, v5: further errors of transactions
 */
export const handleInitProducerId = defineHandler(initProducerId, async (request, context) => {
  try {
    if (request.transactionalId !== null) throw new BrokerError('invalidRequest', 'transactions are not served')
    return { errorCode: 0, producerId: await context.services.broker.newProducerId(), producerEpoch: 0 }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode, producerId: -1, producerEpoch: -1 }
  }
})
