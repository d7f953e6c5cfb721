import { listOffsets } from '../wire/kafka/contracts/list-offsets.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import type { Cluster } from './cluster.ts'
import { readTogether } from './fetch-together.ts'
import { unpackRecords } from './fetched-records.ts'
import { ConnectionLost, checkCode, isUnknownTopic, KafkaError } from './kafka-error.ts'
import { retrying } from './retry.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Special timestamps of ListOffsets. */
export const latestOffset = -1
export const earliestOffset = -2

export interface FetchedRecord extends TopicPartition, LogRecord {}

export interface ReaderOptions {
  /** Longest time the broker may wait for a first byte. */
  readonly maxWaitMs: number
  readonly maxBytes: number
  /** Records of transactions only when they were committed. */
  readonly readCommitted: boolean
}

const lookupMs = 10_000

/**
 * The offset for a timestamp, a special one or milliseconds; undefined when no record is that young. A change of leaders is waited out.
 * Throws `KafkaError`, `ConnectionLost`.
 */
export const offsetFor = (
  cluster: Cluster,
  { topic, partition }: TopicPartition,
  timestamp: number,
): Promise<number | undefined> =>
  retrying(cluster.clock, lookupMs, isStaleLeader, async () => {
    const leader = await cluster.leader(topic, partition)
    const answer = await leader.request(listOffsets, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      timeoutMs: lookupMs,
    })
    const found = answer.topics[0]?.partitions[0]
    if (found === undefined) throw new ConnectionLost(`ListOffsets of ${topic}: the answer names no partition`)
    if (found.errorCode !== errorCodes.NONE) cluster.forget(topic)
    checkCode(found.errorCode, `offset of partition ${partition} of ${topic}`)
    return found.offset < 0 ? undefined : found.offset
  })

const isStaleLeader = (error: unknown): boolean =>
  error instanceof KafkaError && error.retriable && !isUnknownTopic(error)

/** What a fetch answers for one partition. */
export interface FetchedPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null
  readonly records: Buffer | null
}

/** Reads one partition in offset order from a position that the caller may set. Control records are passed over. */
export class PartitionReader {
  readonly source: TopicPartition
  readonly options: ReaderOptions
  /** Offset of the next record. */
  position: number
  /** As the broker said last; -1 before the first answer. */
  highWatermark = -1
  /** Fetches in which this partition came first and filled the answer: the others go first next time. */
  served = 0
  readonly #cluster: Cluster

  constructor(cluster: Cluster, source: TopicPartition, position: number, options: ReaderOptions) {
    this.#cluster = cluster
    this.source = source
    this.position = position
    this.options = options
  }

  /**
   * The next records; none when `maxWaitMs` passes without any. Where the position has left the log (evicted, deleted) it goes on at
   * the log start. Throws `KafkaError`, `ConnectionLost`, `UnreadableBatch`.
   */
  read(): Promise<readonly FetchedRecord[]> {
    return readTogether(this.#cluster, [this])
  }

  /** Asks only where the partition ends now; the position stays. */
  async look(): Promise<void> {
    this.highWatermark = (await offsetFor(this.#cluster, this.source, latestOffset)) ?? this.highWatermark
  }

  /** Takes what a fetch answered for this partition. */
  async take(answer: FetchedPartition): Promise<readonly FetchedRecord[]> {
    const { topic, partition } = this.source
    if (answer.errorCode === errorCodes.OFFSET_OUT_OF_RANGE) {
      const start = await offsetFor(this.#cluster, this.source, earliestOffset)
      this.position = Math.max(start ?? 0, 0)
      return []
    }
    if (answer.errorCode !== errorCodes.NONE) this.#cluster.forget(topic)
    checkCode(answer.errorCode, `fetch from partition ${partition} of ${topic}`)
    this.highWatermark = answer.highWatermark
    const aborted = this.options.readCommitted ? (answer.abortedTransactions ?? []) : []
    const { records, position } = await unpackRecords(answer.records, this.position, aborted)
    this.position = position
    if (records.length > 0) this.served++
    return records.map(record => ({ ...this.source, ...record }))
  }
}
