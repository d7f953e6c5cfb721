import { offsetDelete } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/**
 * OffsetDelete (47), version 0. Forgets committed offsets of topics that no member is subscribed to; durable when answered.
 */
export const handleOffsetDelete = defineHandler(offsetDelete, async (request, context) => {
  const { groupId } = request
  const offsets = request.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
  )
  try {
    const kinds = await context.services.groups.deleteOffsets({ groupId, offsets })
    let next = 0
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: context.codeOf(kinds[next++]),
      })),
    }))
    return { errorCode: 0, topics }
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode, topics: [] }
  }
})
