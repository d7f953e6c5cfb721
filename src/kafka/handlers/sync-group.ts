import { syncGroup } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

const noAssignment = Buffer.alloc(0)

/**
 * SyncGroup (14), versions 0-5. The leader brings the assignment; everyone gets his part once it is durable.
 * - v3: group instance id
 * - v5: protocol type and name are checked, and answered (KIP-559)
 */
export const handleSyncGroup = defineHandler(syncGroup, async (request, context) => {
  try {
    const synced = await context.services.groups.sync({ ...request, generation: request.generationId })
    return { errorCode: 0, ...synced }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode, assignment: noAssignment }
  }
})
