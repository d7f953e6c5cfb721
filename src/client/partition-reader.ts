import { fetch } from '../wire/kafka/contracts/fetch.ts'
import { listOffsets } from '../wire/kafka/contracts/list-offsets.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { byteLengthOf, frameFault, isControl } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord } from '../wire/kafka/records.ts'
import type { Cluster } from './cluster.ts'
import { checkCode, KafkaError } from './kafka-error.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Special timestamps of ListOffsets. */
export const latestOffset = -1
export const earliestOffset = -2

export interface FetchedRecord extends TopicPartition, LogRecord {}

export interface ReaderOptions {
  /** Longest time the broker may wait for `minBytes`. */
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly readCommitted: boolean
}

const maxUnpackedBytes = 64 << 20

/** The offset for a timestamp, a special one or milliseconds; undefined when no record is that young. */
export const offsetFor = async (
  cluster: Cluster,
  { topic, partition }: TopicPartition,
  timestamp: number,
): Promise<number | undefined> => {
  const leader = await cluster.leader(topic, partition)
  const answer = await leader.request(listOffsets, {
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
    timeoutMs: 10_000,
  })
  const found = answer.topics[0]?.partitions[0]
  if (found === undefined) throw new Error(`ListOffsets of ${topic}: the answer names no partition`)
  checkCode(found.errorCode, `offset of partition ${partition} of ${topic}`)
  return found.offset < 0 ? undefined : found.offset
}

/** Reads one partition in offset order from a position that the caller may set. Control records are passed over. */
export class PartitionReader {
  readonly source: TopicPartition
  /** Offset of the next record. */
  position: number
  /** As the broker said last; -1 before the first answer. */
  highWatermark = -1
  readonly #cluster: Cluster
  readonly #options: ReaderOptions

  constructor(cluster: Cluster, source: TopicPartition, position: number, options: ReaderOptions) {
    this.#cluster = cluster
    this.source = source
    this.position = position
    this.#options = options
  }

  /**
   * The next records; none when `maxWaitMs` passes without any. Where the position has left the log (evicted, deleted) it goes on at
   * the log start. Throws `KafkaError`, `ConnectionLost`.
   */
  async read(): Promise<readonly FetchedRecord[]> {
    const { topic, partition } = this.source
    const { id } = await this.#cluster.topic(topic)
    const leader = await this.#cluster.leader(topic, partition)
    const { maxWaitMs, maxBytes, readCommitted } = this.#options
    const answer = await leader.request(
      fetch,
      {
        maxWaitMs,
        minBytes: 1,
        maxBytes,
        isolationLevel: readCommitted ? 1 : 0,
        topics: [
          { topic, topicId: id, partitions: [{ partition, fetchOffset: this.position, partitionMaxBytes: maxBytes }] },
        ],
        forgottenTopicsData: [],
      },
      maxWaitMs,
    )
    checkCode(answer.errorCode, `fetch from ${topic}`)
    const fetched = answer.responses[0]?.partitions[0]
    if (fetched === undefined) return []
    if (fetched.errorCode === errorCodes.OFFSET_OUT_OF_RANGE) return this.#restart()
    if (fetched.errorCode !== errorCodes.NONE) {
      this.#cluster.forget(topic)
      throw new KafkaError(fetched.errorCode, `fetch from partition ${partition} of ${topic}`)
    }
    this.highWatermark = fetched.highWatermark
    return this.#unpack(fetched.records)
  }

  /** Asks only where the partition ends now; the position stays. */
  async look(): Promise<void> {
    this.highWatermark = (await offsetFor(this.#cluster, this.source, latestOffset)) ?? this.highWatermark
  }

  async #restart(): Promise<readonly FetchedRecord[]> {
    const start = await offsetFor(this.#cluster, this.source, earliestOffset)
    this.position = Math.max(start ?? 0, 0)
    return []
  }

  async #unpack(bytes: Buffer | null): Promise<readonly FetchedRecord[]> {
    const records: FetchedRecord[] = []
    for (const batch of wholeBatches(bytes)) {
      const cursor = await decompressRecords(batch, maxUnpackedBytes)
      while (cursor.next()) {
        if (cursor.offset < this.position) continue
        if (!isControl(batch)) records.push({ ...this.source, ...cursor.record() })
        this.position = cursor.offset + 1
      }
    }
    return records
  }
}

// a broker may cut the last batch of an answer: what is not whole is fetched again
function* wholeBatches(bytes: Buffer | null): Generator<Buffer> {
  let at = 0
  while (bytes !== null && at < bytes.length && frameFault(bytes, at) === undefined) {
    const end = at + byteLengthOf(bytes, at)
    yield bytes.subarray(at, end)
    at = end
  }
}
