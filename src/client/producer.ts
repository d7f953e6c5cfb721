import { partitionOfKey } from '../core/murmur2.ts'
import { compressBatch, encodeBatch, type NewRecord } from '../wire/kafka/batch-encoding.ts'
import type { CodecName } from '../wire/kafka/compression/codecs.ts'
import { produce } from '../wire/kafka/contracts/produce.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { Cluster, TopicMetadata } from './cluster.ts'
import { ConnectionLost, checkCode, isTransient, isUnknownTopic, KafkaError } from './kafka-error.ts'
import { newIdentity, type ProducerIdentity } from './producer-identity.ts'
import { retrying } from './retry.ts'

export interface ProducerOptions {
  readonly compression: CodecName
  /** Time the broker may take to store a batch. */
  readonly timeoutMs: number
  /** Time for all attempts to store a batch; then its error is thrown. */
  readonly deliveryTimeoutMs: number
}

/** Where a run of records went. */
export interface Produced {
  readonly partition: number
  /** -1 when the broker knows only that it has them. */
  readonly baseOffset: number
  readonly count: number
}

const allReplicas = -1
/** Well below what brokers take by default (`max.message.bytes`, 1 MiB); a larger record goes alone. */
const maxBatchBytes = 512 << 10
const recordOverheadBytes = 32

/** After these nothing of the batch was stored. After anything else it may be, and only a repeat under its own sequence is safe. */
const refusals: readonly number[] = [
  errorCodes.CORRUPT_MESSAGE,
  errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  errorCodes.UNKNOWN_TOPIC_ID,
  errorCodes.LEADER_NOT_AVAILABLE,
  errorCodes.NOT_LEADER_OR_FOLLOWER,
  errorCodes.MESSAGE_TOO_LARGE,
  errorCodes.RECORD_LIST_TOO_LARGE,
  errorCodes.INVALID_RECORD,
  errorCodes.INVALID_TIMESTAMP,
  errorCodes.INVALID_REQUIRED_ACKS,
  errorCodes.NOT_ENOUGH_REPLICAS,
  errorCodes.UNSUPPORTED_COMPRESSION_TYPE,
  errorCodes.TOPIC_AUTHORIZATION_FAILED,
  errorCodes.POLICY_VIOLATION,
]

/** The broker does not know our sequences any more. */
const strangers: readonly number[] = [
  errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  errorCodes.UNKNOWN_PRODUCER_ID,
  errorCodes.INVALID_PRODUCER_EPOCH,
]

const isOneOf = (error: unknown, codes: readonly number[]): boolean =>
  error instanceof KafkaError && codes.includes(error.code)

/**
 * Sends records and waits until they are stored (acks=all). Idempotent: what goes wrong on the way is repeated within
 * `deliveryTimeoutMs`, and no record is stored twice. One batch of a partition is under way at a time, so that its order is the callers'.
 * When `send` throws, what it was given may be stored in part; sending that again may store it twice.
 */
export class Producer {
  readonly #cluster: Cluster
  readonly #options: ProducerOptions
  /** End of what is under way, by topic and partition. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #identity: Promise<ProducerIdentity | undefined> | undefined
  /** What `#identity` resolved with. */
  #present: ProducerIdentity | undefined
  #nextPartition = 0

  constructor(cluster: Cluster, options: ProducerOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /**
   * Stores the records: by murmur2 of the key as Java clients do, records without key together in the next partition, all in
   * `partition` when it is given. Throws `KafkaError`, `ConnectionLost`.
   */
  async send(topic: string, records: readonly NewRecord[], partition?: number): Promise<readonly Produced[]> {
    const { partitions } = await this.#found(topic)
    if (partition !== undefined && partition >= partitions.length) await this.#cluster.leader(topic, partition)
    const keyless = this.#nextPartition++ % partitions.length
    const byPartition = new Map<number, NewRecord[]>()
    for (const record of records) {
      const target = partition ?? (record.key === null ? keyless : partitionOfKey(record.key, partitions.length))
      const run = byPartition.get(target)
      if (run === undefined) byPartition.set(target, [record])
      else run.push(record)
    }
    const runs = [...byPartition].flatMap(([target, run]) => inBatches(run).map(batch => [target, batch] as const))
    return Promise.all(runs.map(([target, run]) => this.#afterOthers(topic, target, run)))
  }

  /** A cluster that was there comes back; one that was never there is said to be missing at once. */
  #found(topic: string): Promise<TopicMetadata> {
    const limitMs = this.#identity === undefined ? 0 : this.#options.deliveryTimeoutMs
    const mayPass = (error: unknown): boolean => isTransient(error) && !isUnknownTopic(error)
    return retrying(this.#cluster.clock, limitMs, mayPass, () => this.#cluster.topic(topic, { create: true }))
  }

  #afterOthers(topic: string, partition: number, run: readonly NewRecord[]): Promise<Produced> {
    const key = `${partition}/${topic}`
    const store = () => this.#store(topic, partition, run)
    const done = (this.#tails.get(key) ?? Promise.resolve()).then(store, store)
    this.#tails.set(key, done)
    const forget = () => {
      if (this.#tails.get(key) === done) this.#tails.delete(key)
    }
    done.then(forget, forget)
    return done
  }

  /** One run under one identity and sequence until the broker has it; under a new identity where nothing of it can be stored yet. */
  async #store(topic: string, partition: number, run: readonly NewRecord[]): Promise<Produced> {
    const key = `${partition}/${topic}`
    let identity = await this.#identified()
    let batch = await this.#encoded(run, identity, key)
    let mayBeStored = false
    const attempt = async (): Promise<number> => {
      try {
        return await this.#request(topic, partition, batch)
      } catch (error) {
        this.#cluster.forget(topic)
        if (isOneOf(error, [errorCodes.DUPLICATE_SEQUENCE_NUMBER])) return -1
        const isStranger = isOneOf(error, strangers)
        if (isStranger && !mayBeStored && identity !== undefined) {
          this.#renounce(identity)
          identity = await this.#identified()
          batch = await this.#encoded(run, identity, key)
          return await this.#request(topic, partition, batch)
        }
        if (!isStranger && !isOneOf(error, refusals)) mayBeStored = true
        throw error
      }
    }
    try {
      const { clock } = this.#cluster
      const baseOffset = await retrying(clock, this.#options.deliveryTimeoutMs, isTransient, attempt)
      identity?.stored(key, run.length)
      return { partition, baseOffset, count: run.length }
    } catch (error) {
      // its sequence may be taken or not: neither it nor the next one can be used
      if (identity !== undefined) this.#renounce(identity)
      throw error
    }
  }

  #identified(): Promise<ProducerIdentity | undefined> {
    if (this.#identity === undefined) {
      const { clock } = this.#cluster
      const asked = retrying(clock, this.#options.deliveryTimeoutMs, isTransient, () => newIdentity(this.#cluster))
      this.#identity = asked
      asked.then(
        identity => {
          this.#present = identity
        },
        () => {
          this.#identity = undefined
        },
      )
    }
    return this.#identity
  }

  /** The next batches go under another identity; those under way keep theirs. */
  #renounce(identity: ProducerIdentity): void {
    if (this.#present !== identity) return
    this.#present = undefined
    this.#identity = undefined
  }

  async #encoded(run: readonly NewRecord[], identity: ProducerIdentity | undefined, key: string): Promise<Buffer> {
    const producer =
      identity === undefined
        ? {}
        : {
            producer: {
              producerId: identity.producerId,
              producerEpoch: identity.producerEpoch,
              baseSequence: identity.nextSequence(key),
            },
          }
    const plain = encodeBatch(run, producer)
    return this.#options.compression === 'none' ? plain : compressBatch(plain, this.#options.compression)
  }

  async #request(topic: string, partition: number, batch: Buffer): Promise<number> {
    const { id } = await this.#cluster.topic(topic)
    const leader = await this.#cluster.leader(topic, partition)
    const { timeoutMs } = this.#options
    const partitionData = [{ index: partition, records: batch }]
    const topicData = [{ name: topic, topicId: id, partitionData }]
    const answer = await leader.request(produce, { acks: allReplicas, timeoutMs, topicData }, timeoutMs)
    const stored = answer.responses[0]?.partitionResponses[0]
    if (stored === undefined) throw new ConnectionLost(`produce to ${topic}: the answer names no partition`)
    checkCode(stored.errorCode, `produce to partition ${partition} of ${topic}`, stored.errorMessage)
    return stored.baseOffset
  }
}

const inBatches = (run: readonly NewRecord[]): NewRecord[][] => {
  const batches: NewRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of run) {
    const size = bytesOf(record)
    if (bytes + size > maxBatchBytes) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)!.push(record)
    bytes += size
  }
  return batches
}

const bytesOf = ({ key, value, headers = [] }: NewRecord): number => {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) bytes += header.key.length * 3 + (header.value?.length ?? 0) + recordOverheadBytes
  return bytes
}
