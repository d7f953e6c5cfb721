import { deleteRecords } from '../../wire/kafka/contracts/index.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

const highWatermark = -1
const noOffset = -1

/**
 * DeleteRecords (21), versions 0-2. Moves the log start of partitions up; answered once it is durable. Offset -1 is the high watermark,
 * beyond which nothing can be deleted. All versions are alike.
 */
export const handleDeleteRecords = defineHandler(deleteRecords, async (request, context) => ({
  topics: await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(({ partitionIndex, offset }) => deleteBefore(name, partitionIndex, offset, context)),
      ),
    })),
  ),
}))

async function deleteBefore(name: string, partitionIndex: number, offset: number, context: RequestContext) {
  const { broker } = context.services
  try {
    const partition = broker.topics.partition(broker.topics.get(name), partitionIndex)
    const before = offset === highWatermark ? broker.offsets(partition).highWatermark : offset
    return { partitionIndex, lowWatermark: await broker.deleteRecordsBefore(partition, before), errorCode: 0 }
  } catch (error) {
    return { partitionIndex, lowWatermark: noOffset, errorCode: context.refusal(error).errorCode }
  }
}
