import { BrokerError } from '../../core/errors.ts'
import { findCoordinator } from '../../wire/kafka/contracts/index.ts'
import { onlyBroker } from '../brokers.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { nodeId } from '../services.ts'

const groupKey = 0

/**
 * FindCoordinator (10), versions 0-6. This gateway coordinates every group. Transactions (type 1) and share groups (type 2) are not
 * served: INVALID_REQUEST.
 * - v1: key type
 * - v4: several keys in one request, an answer for each
 */
export const handleFindCoordinator = defineHandler(findCoordinator, (request, context) => {
  const coordinator = locate(request.keyType, context)
  if (context.version < 4) return coordinator
  return { coordinators: request.coordinatorKeys.map(key => ({ key, ...coordinator })) }
})

function locate(keyType: number, context: RequestContext) {
  try {
    if (keyType !== groupKey) {
      throw new BrokerError('invalidRequest', `coordinators of type ${keyType} are not served, only groups (0) are`)
    }
    return { errorCode: 0, errorMessage: null, nodeId, ...onlyBroker(context) }
  } catch (error) {
    return { ...context.refusal(error), nodeId: -1, host: '', port: -1 }
  }
}
