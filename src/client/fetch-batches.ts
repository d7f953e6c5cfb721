import { fetch } from '../wire/kafka/contracts/fetch.ts'
import type { Cluster } from './cluster.ts'
import { type AbortedTransaction, wholeBatches } from './fetched-records.ts'
import { ConnectionLost, checkCode } from './kafka-error.ts'
import type { TopicPartition } from './partition-offsets.ts'

export interface FetchedBatches {
  /** As they are stored; the first may begin before the offset that was asked for. */
  readonly batches: readonly Buffer[]
  readonly highWatermark: number
  /** Of `readCommitted`. */
  readonly aborted: readonly AbortedTransaction[]
}

export interface BatchFetch {
  readonly maxBytes: number
  readonly maxWaitMs: number
  /** Only what lies before the first transaction that is open; `aborted` says what of it does not count. */
  readonly readCommitted?: boolean
}

/**
 * The batches of a partition from an offset on, about `maxBytes` but at least one; none when there is none within `maxWaitMs`. Throws `KafkaError`,
 * `ConnectionLost`, `UnreadableBatch`.
 */
export const fetchBatches = async (
  cluster: Cluster,
  { topic, partition }: TopicPartition,
  offset: number,
  { maxBytes, maxWaitMs, readCommitted = false }: BatchFetch,
): Promise<FetchedBatches> => {
  const leader = await cluster.leader(topic, partition)
  const { id } = await cluster.topic(topic)
  const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: maxBytes }]
  const wanted = { topics: [{ topic, topicId: id, partitions }], forgottenTopicsData: [] }
  const isolationLevel = readCommitted ? 1 : 0
  const answer = await leader.request(fetch, { ...wanted, maxWaitMs, minBytes: 1, maxBytes, isolationLevel }, maxWaitMs)
  checkCode(answer.errorCode, 'fetch')
  const found = answer.responses[0]?.partitions[0]
  if (found === undefined) throw new ConnectionLost(`fetch from ${topic}: the answer names no partition`)
  checkCode(found.errorCode, `fetch from partition ${partition} of ${topic}`)
  const { records, highWatermark, abortedTransactions } = found
  return { batches: [...wholeBatches(records)], highWatermark, aborted: abortedTransactions ?? [] }
}
