import type { Clock } from '../platform/clock.ts'
import { produce } from '../wire/kafka/contracts/produce.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import { ConnectionLost, KafkaError } from './kafka-error.ts'
import type { TopicPartition } from './partition-offsets.ts'
import { retrying } from './retry.ts'

/** A batch on its way: the buffer is the producer's, who writes into it. */
export interface PartitionBatch extends TopicPartition {
  readonly batch: Buffer
}

export interface ProduceOptions {
  readonly transactionalId: string | null
  /** Time the leader may take to have a batch on its replicas. */
  readonly timeoutMs: number
  /** Newest version of the request; undefined: what both sides have. */
  readonly newest?: number | undefined
}

/** The leader refused this batch, or nobody leads its partition. */
export class BatchRefused extends KafkaError {
  override name = 'BatchRefused'
  readonly target: TopicPartition
  /** Undefined: it was not sent. */
  readonly batch: Buffer | undefined

  constructor(code: number, target: TopicPartition, detail?: string | null, batch?: Buffer) {
    super(code, `produce to partition ${target.partition} of ${target.topic}`, detail)
    this.target = target
    this.batch = batch
  }
}

const allReplicas = -1
const unreadyMs = 30_000
/** A cluster that is well has ended a transaction after some milliseconds. */
const firstPauseMs = 10
/** It still writes the end of the transaction before to its partitions, or reads what its coordinator has to know. */
const unready: readonly number[] = [errorCodes.CONCURRENT_TRANSACTIONS, errorCodes.COORDINATOR_LOAD_IN_PROGRESS]

const isUnready = (error: unknown): boolean => error instanceof KafkaError && unready.includes(error.code)

/** Does `work` again while the cluster says that it cannot yet: nothing was done then. */
export const onceReady = <Result>(clock: Clock, work: () => Promise<Result>): Promise<Result> =>
  retrying(clock, unreadyMs, isUnready, work, firstPauseMs)

export const partitionKey = ({ topic, partition }: TopicPartition): string => `${partition}/${topic}`

/** Batches that are with their connections, in the order of the calls. */
export interface HandedOver {
  /**
   * Their base offsets in the order of the batches. Rejects with `BatchRefused` for the first that was refused, once every leader has answered, and
   * with `ConnectionLost`.
   */
  readonly offsets: Promise<readonly number[]>
}

/**
 * Sends the batches, at most one of a partition, to be stored on all replicas, with one request to each of their leaders. Nothing is sent twice, but
 * to the leader that a broker names when it is none (KIP-951): who has the batch by then knows its sequence. Throws what finding the leaders throws.
 */
export const handOver = async (
  cluster: Cluster,
  batches: readonly PartitionBatch[],
  options: ProduceOptions,
): Promise<HandedOver> => {
  const offsets = new Map<string, number>()
  const answers = await sendToLeaders(cluster, batches, options, offsets)
  return { offsets: allOffsets(batches, answers, offsets) }
}

const sendToLeaders = async (
  cluster: Cluster,
  batches: readonly PartitionBatch[],
  options: ProduceOptions,
  offsets: Map<string, number>,
): Promise<readonly Promise<void>[]> => {
  const byLeader = new Map<BrokerConnection, PartitionBatch[]>()
  const topicIds = new Map<string, string>()
  for (const batch of batches) {
    const leader = await cluster.leader(batch.topic, batch.partition)
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch])
    topicIds.set(batch.topic, (await cluster.topic(batch.topic)).id)
  }
  return [...byLeader].map(async ([leader, own]) => {
    const moved = await onceReady(cluster.clock, () => produceTo(cluster, leader, own, topicIds, options, offsets))
    if (moved.length > 0) await Promise.all(await sendToLeaders(cluster, moved, options, offsets))
  })
}

const allOffsets = async (
  batches: readonly PartitionBatch[],
  answers: readonly Promise<void>[],
  offsets: ReadonlyMap<string, number>,
): Promise<readonly number[]> => {
  const answered = await Promise.allSettled(answers)
  const failures = answered.flatMap(one => (one.status === 'rejected' ? [one.reason] : []))
  if (failures.length > 0) throw failures.find(error => error instanceof BatchRefused) ?? failures[0]
  return batches.map(batch => {
    const offset = offsets.get(partitionKey(batch))
    if (offset === undefined) throw new ConnectionLost(`produce to ${batch.topic}: the answer leaves partitions out`)
    return offset
  })
}

/** Those of the batches that have another leader by now. */
const produceTo = async (
  cluster: Cluster,
  leader: BrokerConnection,
  batches: readonly PartitionBatch[],
  topicIds: ReadonlyMap<string, string>,
  { transactionalId, timeoutMs, newest }: ProduceOptions,
  offsets: Map<string, number>,
): Promise<readonly PartitionBatch[]> => {
  const topicData = [...byTopic(batches)].map(([name, members]) => ({
    name,
    topicId: topicIds.get(name)!,
    partitionData: members.map(({ partition, batch }) => ({ index: partition, records: batch })),
  }))
  const request = { transactionalId, acks: allReplicas, timeoutMs, topicData }
  const { responses, nodeEndpoints } = await leader.request(produce, request, 0, newest)
  const moved: PartitionBatch[] = []
  let failed: BatchRefused | undefined
  for (const { name, topicId, partitionResponses } of responses) {
    const topic = name || (topicData.find(asked => asked.topicId === topicId)?.name ?? '')
    for (const { index, errorCode, errorMessage, baseOffset, currentLeader } of partitionResponses) {
      const target = { topic, partition: index }
      const sent = batches.find(one => one.partition === index && one.topic === topic)
      if (errorCode === errorCodes.NONE) offsets.set(partitionKey(target), baseOffset)
      else if (sent !== undefined && cluster.follow(target, errorCode, currentLeader, nodeEndpoints)) moved.push(sent)
      else failed = firstOf(failed, new BatchRefused(errorCode, target, errorMessage, sent?.batch))
    }
  }
  if (failed !== undefined) throw failed
  return moved
}

/** A refusal that stays says more than one that passes. */
const firstOf = (one: BatchRefused | undefined, other: BatchRefused): BatchRefused =>
  one === undefined || (one.retriable && !other.retriable) ? other : one

export const byTopic = <Member extends TopicPartition>(members: readonly Member[]): Map<string, Member[]> => {
  const topics = new Map<string, Member[]>()
  for (const member of members) {
    const others = topics.get(member.topic)
    if (others === undefined) topics.set(member.topic, [member])
    else others.push(member)
  }
  return topics
}
