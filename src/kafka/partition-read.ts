import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Uuid } from '../core/uuid.ts'
import type { RequestOf, ResponseInputOf } from '../wire/kafka/api.ts'
import type { fetch } from '../wire/kafka/contracts/index.ts'
import { emptyBatch } from '../wire/kafka/empty-batch.ts'
import { epochEnd } from './epoch-end.ts'
import type { RequestContext } from './handler.ts'
import { checkLeaderEpoch, findTopic } from './topic-lookup.ts'

type Wanted = RequestOf<typeof fetch>['topics'][number]['partitions'][number]
type PartitionAnswer = ResponseInputOf<typeof fetch>['responses'][number]['partitions'][number]

export interface PartitionRead {
  readonly answer: PartitionAnswer
  readonly bytes: number
  /** Waiting for more makes no sense: it failed, or more is there than was read. */
  readonly urgent: boolean
  /** Absent when the partition cannot be waited for. */
  readonly watch?: WatchedPartition
}

/** A partition that was read to its end: where it stood then. */
export interface WatchedPartition {
  readonly topicId: Uuid
  readonly partition: PartitionId
  readonly highWatermark: number
  /** Of one that waits for the central cluster: is there something now? */
  readonly hasArrived?: () => boolean
}

interface Limit {
  readonly bytes: number
  /** KIP-74: the first batch is given whatever its size. */
  readonly atLeastOne: boolean
}

const readUncommitted = 0
const noRecords = Buffer.alloc(0)

/** Reads one partition of a fetch; every expected failure becomes its error code. */
export async function readPartition(
  by: { name: string } | { id: Uuid },
  wanted: Wanted,
  limit: Limit,
  isolationLevel: number,
  context: RequestContext,
): Promise<PartitionRead> {
  const { services } = context
  const { broker } = services
  try {
    const topic = findTopic(services, by)
    const partition = broker.topics.partition(topic, wanted.partition)
    checkLeaderEpoch(services, wanted.currentLeaderEpoch)
    const { logStart, highWatermark } = broker.offsets(partition)
    const answer = {
      partitionIndex: wanted.partition,
      errorCode: 0,
      highWatermark,
      lastStableOffset: highWatermark,
      logStartOffset: services.remote?.knownStart(topic, wanted.partition) ?? logStart,
      // null says "none asked for": clients drop records by this list (Kafka sends it for read_committed only)
      abortedTransactions: isolationLevel === readUncommitted ? null : [],
      records: noRecords,
    }
    const diverging = divergingEpoch(partition, wanted, context)
    if (diverging !== undefined) return { answer: { ...answer, divergingEpoch: diverging }, bytes: 0, urgent: true }
    const watch = { topicId: topic.id, partition, highWatermark }
    if (wanted.fetchOffset < logStart && services.remote !== undefined) {
      const read = () => services.remote!.read(topic, wanted.partition, wanted.fetchOffset, Math.max(limit.bytes, 1))
      const remote = read()
      if (remote.kind === 'gone')
        throw new BrokerError('offsetOutOfRange', `${wanted.fetchOffset} is before all that can be read`)
      // as Kafka answers when its remote storage does not: nothing, without an error, so that nobody starts over elsewhere
      if (remote.kind === 'awaited')
        return { answer, bytes: 0, urgent: false, watch: { ...watch, hasArrived: () => read().kind !== 'awaited' } }
      const records = within(remote.batches, limit)
      const bytes = bytesOf(records)
      return { answer: { ...answer, records }, bytes, urgent: bytes > 0, watch }
    }
    const { records, nextOffset } = await readRecords(partition, wanted.fetchOffset, limit, context)
    const bytes = bytesOf(records)
    return { answer: { ...answer, records }, bytes, urgent: bytes > 0 && nextOffset < highWatermark, watch }
  } catch (error) {
    return { answer: refused(wanted, context.refusal(error).errorCode), bytes: 0, urgent: true }
  }
}

/** The log gives at least one batch; beyond the first partition with data that may be too much. */
async function readRecords(
  partition: PartitionId,
  offset: number,
  { bytes, atLeastOne }: Limit,
  { services: { broker } }: RequestContext,
): Promise<{ records: readonly Buffer[]; nextOffset: number }> {
  const { batches, nextOffset } = await broker.read(partition, offset, Math.max(bytes, 1))
  // damage took all that is left: without a batch that says so a consumer would stand here until somebody appends
  if (batches.length === 0 && nextOffset > offset) return { records: [emptyBatch(offset, nextOffset - 1)], nextOffset }
  const records = within(batches, { bytes, atLeastOne })
  return { records, nextOffset: records.length === batches.length ? nextOffset : offset }
}

/** All of them, or none: the first may be more than there is room for. */
const within = (batches: readonly Buffer[], { bytes, atLeastOne }: Limit): readonly Buffer[] =>
  batches[0] !== undefined && batches[0].length > bytes && !atLeastOne ? [] : batches

const bytesOf = (batches: readonly Buffer[]): number => batches.reduce((sum, { length }) => sum + length, 0)

/** KIP-595: the client's last record is of an epoch that ended earlier here. It truncates to the end that we tell. */
function divergingEpoch(partition: PartitionId, wanted: Wanted, { services: { broker } }: RequestContext) {
  if (wanted.lastFetchedEpoch < 0) return undefined
  const end = epochEnd(broker, partition, wanted.lastFetchedEpoch)
  if (end === undefined) return undefined
  return end.epoch < wanted.lastFetchedEpoch || end.endOffset < wanted.fetchOffset ? end : undefined
}

function refused({ partition }: Wanted, errorCode: number): PartitionAnswer {
  return { partitionIndex: partition, errorCode, highWatermark: -1, abortedTransactions: null, records: noRecords }
}
