import { deleteRecords } from '../../wire/kafka/contracts/index.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

const highWatermark = -1
const noOffset = -1

/**
 * DeleteRecords (21), versions 0-2. Moves the log start of partitions up; answered once it is durable. Offset -1 is the high watermark,
 * beyond which nothing can be deleted. With `remote.read` the records in the central cluster stay there and are not read any more. All versions are alike.
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
  const { broker, remote } = context.services
  try {
    const topic = broker.topics.get(name)
    const partition = broker.topics.partition(topic, partitionIndex)
    const end = broker.offsets(partition).highWatermark
    const before = offset === highWatermark ? end : offset
    // first: what is deleted here must not come back from there
    if (before >= 0 && before <= end) await remote?.deleteBefore(topic, partitionIndex, before)
    const logStart = await broker.deleteRecordsBefore(partition, before)
    const lowWatermark = remote === undefined ? logStart : Math.min(logStart, before)
    return { partitionIndex, lowWatermark, errorCode: 0 }
  } catch (error) {
    return { partitionIndex, lowWatermark: noOffset, errorCode: context.refusal(error).errorCode }
  }
}
