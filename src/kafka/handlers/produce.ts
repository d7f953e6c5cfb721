import type { ProduceResult } from '../../broker/broker.ts'
import { InvalidRecords } from '../../broker/client-batch.ts'
import type { Topic } from '../../broker/topics.ts'
import type { GroupNumber } from '../../core/brand.ts'
import { BrokerError } from '../../core/errors.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { produce } from '../../wire/kafka/contracts/index.ts'
import { appendWithRoom } from '../append-room.ts'
import { CloseConnection, type Refusal } from '../errors.ts'
import { defineHandler, noResponse, type RequestContext } from '../handler.ts'
import { findTopic } from '../topic-lookup.ts'
import { whenUpstream } from '../upstream-ack.ts'

type Request = RequestOf<typeof produce>
type TopicData = Request['topicData'][number]
type PartitionData = TopicData['partitionData'][number]
type PartitionAnswer = ResponseInputOf<typeof produce>['responses'][number]['partitionResponses'][number]

/** A partition of the request: appended, or why not. */
interface Outcome {
  readonly index: number
  readonly result?: ProduceResult
  /** Resolves once the central cluster has it too, with why not; absent: that is not asked for. */
  readonly upstream?: Promise<unknown>
  readonly error?: unknown
}

interface TopicOutcome {
  readonly data: TopicData
  readonly topic: Topic | undefined
  readonly partitions: readonly Outcome[]
}

const acksAll = -1
const acksLegal = [acksAll, 0, 1]

/**
 * Produce (0), versions 3-13. Every batch goes to the log as it came; the answer leaves once all of them are synced, for acks 1 as for
 * acks all (of topics with `durability=relaxed`: once the kernel has them; the high watermark follows with the sync). With acks all the batches
 * of topics with `min.insync.replicas=2` have to be in the central cluster as well. The next request of the connection starts as soon as
 * these batches have their offsets, which takes room in the log. acks 0 has no answer: when anything fails, the connection closes.
 * Transactional batches get INVALID_TXN_STATE.
 * - v3-v6: zstd is refused (KIP-110)
 * - v5: log start offset in the answer
 * - v8: error message and the records that are at fault (KIP-467)
 * - v10: current leader and endpoints, never filled: a partition has no other leader
 * - v13: topic ids in place of names
 */
export const handleProduce = defineHandler(produce, async (request, context) => {
  const topics = await appendAll(request, context)
  context.startNext()
  if (request.acks === 0) return closeOnFailure(topics)
  const syncError = await ackable(topics, context)
  const lacking = await lackingUpstream(topics)
  return {
    responses: topics.map(({ data, topic, partitions }) => ({
      name: data.name,
      topicId: data.topicId,
      partitionResponses: partitions.map(outcome =>
        answer(outcome, topic, errorOfSync(outcome, syncError) ?? lacking.get(outcome), context),
      ),
    })),
  }
})

/** Batches of one request are appended in its order, all before the next request starts. */
function appendAll(request: Request, context: RequestContext): Promise<TopicOutcome[]> {
  return Promise.all(
    request.topicData.map(async data => {
      const topic = topicOf(data, request.acks, context)
      const appends = data.partitionData.map(partition => append(topic, partition, request, context))
      return { data, topic: topic instanceof BrokerError ? undefined : topic, partitions: await Promise.all(appends) }
    }),
  )
}

function topicOf(
  { name, topicId }: TopicData,
  acks: number,
  { services, version }: RequestContext,
): Topic | BrokerError {
  try {
    if (!acksLegal.includes(acks)) throw new BrokerError('invalidRequiredAcks', `acks is -1, 0 or 1, not ${acks}`)
    return findTopic(services, version >= 13 ? { id: topicId } : { name })
  } catch (error) {
    if (error instanceof BrokerError) return error
    throw error
  }
}

async function append(
  topic: Topic | BrokerError,
  { index, records }: PartitionData,
  { timeoutMs, acks }: Request,
  context: RequestContext,
): Promise<Outcome> {
  const { services, version } = context
  try {
    if (topic instanceof BrokerError) throw topic
    if (records === null) throw new BrokerError('invalidRecord', 'a partition of a produce request needs a batch')
    const allReplicas = acks === acksAll
    const options = { zstd: version >= 7, allReplicas }
    const produceOnce = () => services.broker.produce(topic, index, records, options)
    const result = await appendWithRoom(produceOnce, timeoutMs, services)
    if (!allReplicas || !services.broker.replica.follows(topic)) return { index, result }
    const place = { partition: topic.partitions[index]!, end: result.nextOffset }
    return { index, result, upstream: whenUpstream(place, timeoutMs, context) }
  } catch (error) {
    return { index, error }
  }
}

/** Waits for the newest group that carries a batch of the request: groups become ackable in order. */
async function ackable(topics: readonly TopicOutcome[], context: RequestContext): Promise<unknown> {
  let newest: GroupNumber | undefined
  for (const { partitions } of topics) {
    for (const { result } of partitions) {
      const group = result?.group
      if (group !== undefined && (newest === undefined || group > newest)) newest = group
    }
  }
  if (newest === undefined) return undefined
  try {
    await context.services.broker.whenAckable(newest)
    return undefined
  } catch (error) {
    return error
  }
}

/** A repeat of a batch that was durable before this start is not in the group that failed. */
const errorOfSync = ({ result }: Outcome, syncError: unknown): unknown =>
  result?.group === undefined ? undefined : syncError

const noErrors: ReadonlyMap<Outcome, unknown> = new Map()

/** Waits for the central cluster where it is asked for: why it does not have what it should. */
async function lackingUpstream(topics: readonly TopicOutcome[]): Promise<ReadonlyMap<Outcome, unknown>> {
  const waiting = topics.flatMap(({ partitions }) => partitions.filter(({ upstream }) => upstream !== undefined))
  if (waiting.length === 0) return noErrors
  return new Map(await Promise.all(waiting.map(async outcome => [outcome, await outcome.upstream] as const)))
}

function answer(
  { index, result, error }: Outcome,
  topic: Topic | undefined,
  ackError: unknown,
  context: RequestContext,
): PartitionAnswer {
  if (result === undefined) return refused(index, error, context)
  if (ackError !== undefined) return refused(index, ackError, context)
  const { baseOffset, logAppendTimeMs } = result
  return { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset: logStartOf(topic, index, context) }
}

function refused(index: number, error: unknown, context: RequestContext): PartitionAnswer {
  const refusal: Refusal = context.refusal(error)
  const recordErrors =
    error instanceof InvalidRecords
      ? error.positions.map(batchIndex => ({ batchIndex, batchIndexErrorMessage: error.message }))
      : []
  return { index, ...refusal, baseOffset: -1, recordErrors }
}

/** The topic may have been deleted while its records were synced. */
function logStartOf(topic: Topic | undefined, index: number, { services: { broker } }: RequestContext): number {
  const partition = topic?.partitions[index]
  if (topic === undefined || partition === undefined || broker.topics.findById(topic.id) === undefined) return -1
  return broker.offsets(partition).logStart
}

function closeOnFailure(topics: readonly TopicOutcome[]): typeof noResponse {
  for (const { partitions } of topics) {
    for (const { error } of partitions) {
      if (error instanceof BrokerError) throw new CloseConnection('acks-0-failed', error.message)
      if (error !== undefined) throw error
    }
  }
  return noResponse
}
