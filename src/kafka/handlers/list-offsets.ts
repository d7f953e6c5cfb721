import type { PartitionId } from '../../core/brand.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Topic } from '../../state/topics.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { listOffsets } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { duplicatesOf } from '../duplicates.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { checkLeaderEpoch } from '../topic-lookup.ts'

type Wanted = RequestOf<typeof listOffsets>['topics'][number]['partitions'][number]
type PartitionAnswer = ResponseInputOf<typeof listOffsets>['topics'][number]['partitions'][number]
type Found = Pick<PartitionAnswer, 'offset' | 'timestamp' | 'leaderEpoch'>

const latest = -1
const earliest = -2
const maxTimestamp = -3
const earliestLocal = -4
const latestTiered = -5
const earliestPendingUpload = -6

/** The version that brought each special timestamp. */
const specialSince: Readonly<Record<number, number>> = {
  [latest]: 0,
  [earliest]: 0,
  [maxTimestamp]: 7,
  [earliestLocal]: 8,
  [latestTiered]: 9,
  [earliestPendingUpload]: 11,
}

/** What stands behind the request on its connection waits as well. */
const longestWaitMs = 3_000

const nothing: Found = { offset: -1, timestamp: -1, leaderEpoch: -1 }

/**
 * ListOffsets (2), versions 1-11. The end (-1), the start (-2), the record with the largest timestamp (-3), or the first record at or
 * after a time. What does not exist is offset -1 without an error. Readers see durable records only, so the end is the high watermark.
 * A partition named twice is refused, as Kafka does: each look-up may read from the device.
 * - v2: isolation level; both are the same while there are no transactions
 * - v4: current leader epoch, fenced; leader epoch in the answer
 * - v7: -3; v8: -4, the start of what is here: -2 may be before it, in the central cluster (`remote.read`); v9: -5 and v11: -6 are never there
 */
export const handleListOffsets = defineHandler(listOffsets, async (request, context) => {
  const { topics, timeoutMs } = request
  const keyOf = (name: string, { partitionIndex }: Wanted): string => `${partitionIndex}/${name}`
  const duplicates = duplicatesOf(
    topics.flatMap(({ name, partitions }) => partitions.map(wanted => keyOf(name, wanted))),
  )
  const answerTo = (name: string, wanted: Wanted): Promise<PartitionAnswer> =>
    lookUp(name, wanted, duplicates.has(keyOf(name, wanted)), timeoutMs, context)
  return {
    topics: await Promise.all(
      topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(partitions.map(wanted => answerTo(name, wanted))),
      })),
    ),
  }
})

async function lookUp(
  name: string,
  wanted: Wanted,
  isDuplicate: boolean,
  timeoutMs: number,
  context: RequestContext,
): Promise<PartitionAnswer> {
  const { services, version } = context
  const { partitionIndex, timestamp } = wanted
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', 'the partition is named twice in the request')
    const { topics } = services.broker
    const topic = topics.get(name)
    const partition = topics.partition(topic, partitionIndex)
    checkLeaderEpoch(services, wanted.currentLeaderEpoch)
    if (timestamp < 0 && version < (specialSince[timestamp] ?? Number.POSITIVE_INFINITY)) {
      throw new BrokerError('unsupported', `timestamp ${timestamp} means nothing in version ${version}`)
    }
    const { leaderEpoch, ...found } =
      timestamp === earliest
        ? await totalStart(topic, partitionIndex, timeoutMs, context)
        : await find(partition, timestamp, context)
    return { partitionIndex, errorCode: 0, ...found, ...(version >= 4 && { leaderEpoch }) }
  } catch (error) {
    const { errorCode } = context.refusal(error)
    const isUnknownCode = errorCode === errorCodes.OFFSET_NOT_AVAILABLE && version < 5
    return { partitionIndex, errorCode: isUnknownCode ? errorCodes.LEADER_NOT_AVAILABLE : errorCode }
  }
}

/** The first offset that can be read, here or in the central cluster. Throws `offsetUnavailable` while that does not say. */
async function totalStart(topic: Topic, index: number, timeoutMs: number, context: RequestContext): Promise<Found> {
  const { broker, remote } = context.services
  const partition = broker.topics.partition(topic, index)
  if (remote !== undefined) {
    const waitMs = Math.min(longestWaitMs, timeoutMs > 0 ? timeoutMs : longestWaitMs)
    const offset = await remote.totalStart(topic, index, waitMs)
    if (offset === undefined)
      throw new BrokerError('offsetUnavailable', 'the central cluster does not say where the partition begins')
    // epochs of what has left this log are not known
    if (offset < broker.offsets(partition).logStart) return { offset, timestamp: -1, leaderEpoch: -1 }
  }
  return find(partition, earliestLocal, context)
}

async function find(partition: PartitionId, timestamp: number, { services }: RequestContext): Promise<Found> {
  const { broker } = services
  const { logStart, highWatermark } = broker.offsets(partition)
  switch (timestamp) {
    case latest:
      return { offset: highWatermark, timestamp: -1, leaderEpoch: broker.leaderEpoch }
    case earliestLocal:
      return { offset: logStart, timestamp: -1, leaderEpoch: firstEpoch(partition, services.broker) }
    case latestTiered:
    case earliestPendingUpload:
      return nothing
    default: {
      const found =
        timestamp === maxTimestamp
          ? await broker.findMaxTimestamp(partition)
          : await broker.findOffset(partition, timestamp)
      if (found === undefined) return nothing
      return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch: found.leaderEpoch }
    }
  }
}

function firstEpoch(partition: PartitionId, broker: RequestContext['services']['broker']): number {
  return broker.leaderEpochs(partition)[0]?.epoch ?? broker.leaderEpoch
}
