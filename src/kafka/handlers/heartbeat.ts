import { heartbeat } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/**
 * Heartbeat (12), versions 0-4. A sign of life; REBALANCE_IN_PROGRESS tells the member to join again.
 * - v3: group instance id
 */
export const handleHeartbeat = defineHandler(heartbeat, (request, context) => {
  try {
    context.services.groups.heartbeat({ ...request, generation: request.generationId })
    return { errorCode: 0 }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode }
  }
})
