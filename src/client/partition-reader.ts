import type { Uuid } from '../core/uuid.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import type { Cluster } from './cluster.ts'
import { readTogether } from './fetch-together.ts'
import { unpackRecords } from './fetched-records.ts'
import { checkCode } from './kafka-error.ts'
import { earliestOffset, latestOffset, offsetFor, type TopicPartition } from './partition-offsets.ts'

export interface FetchedRecord extends TopicPartition, LogRecord {}

export interface ReaderSource extends TopicPartition {
  /** Only the topic with this id is read, of brokers that know ids: none of the same name that was made later. */
  readonly topicId?: Uuid
}

export interface ReaderOptions {
  /** Longest time the broker may wait for a first byte. */
  readonly maxWaitMs: number
  readonly maxBytes: number
  /** What the batches of one partition may take, decompressed, in one answer; 64 MiB when absent. */
  readonly maxUnpackedBytes?: number
  /** Records of transactions only when they were committed. */
  readonly readCommitted: boolean
  /** Told when a position is not in the log: what is between it and `logStart` is gone, or it is beyond the end. */
  readonly onOutOfRange?: (source: TopicPartition, position: number, logStart: number) => void
  /** Told what went wrong with one partition, which is then thrown for none: the others go on. */
  readonly onFailure?: (source: TopicPartition, error: unknown) => void
}

/** What a fetch answers for one partition. */
export interface FetchedPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null
  readonly records: Buffer | null
}

/** Reads one partition in offset order from a position that the caller may set. Control records are passed over. */
export class PartitionReader {
  readonly source: ReaderSource
  readonly options: ReaderOptions
  /** Offset of the next record. */
  position: number
  /** As the broker said last; -1 before the first answer. */
  highWatermark = -1
  /** Fetches in which this partition came first and filled the answer: the others go first next time. */
  served = 0
  /** Bytes of batches that fetches brought, as they came. */
  receivedBytes = 0
  /** What they took once they were decompressed. */
  unpackedBytes = 0
  readonly #cluster: Cluster

  constructor(cluster: Cluster, source: ReaderSource, position: number, options: ReaderOptions) {
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
      const logStart = start ?? 0
      this.options.onOutOfRange?.(this.source, this.position, logStart)
      this.position = logStart
      return []
    }
    if (answer.errorCode !== errorCodes.NONE) this.#cluster.forget(topic)
    checkCode(answer.errorCode, `fetch from partition ${partition} of ${topic}`)
    this.highWatermark = answer.highWatermark
    this.receivedBytes += answer.records?.length ?? 0
    const aborted = this.options.readCommitted ? (answer.abortedTransactions ?? []) : []
    const { maxUnpackedBytes } = this.options
    const unpacked = await unpackRecords(answer.records, this.position, aborted, maxUnpackedBytes)
    const { records, position } = unpacked
    this.position = position
    this.unpackedBytes += unpacked.unpackedBytes
    if (records.length > 0) this.served++
    return records.map(record => ({ topic, partition, ...record }))
  }
}
