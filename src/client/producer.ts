import { partitionOfKey } from '../core/murmur2.ts'
import { compressBatch, encodeBatch, type NewRecord } from '../wire/kafka/batch-encoding.ts'
import type { CodecName } from '../wire/kafka/compression/codecs.ts'
import { produce } from '../wire/kafka/contracts/produce.ts'
import type { Cluster } from './cluster.ts'
import { checkCode } from './kafka-error.ts'

export interface ProducerOptions {
  readonly compression: CodecName
  /** Time the broker may take to store a batch. */
  readonly timeoutMs: number
}

/** Where a run of records went. */
export interface Produced {
  readonly partition: number
  readonly baseOffset: number
  readonly count: number
}

const allReplicas = -1

/** Sends records and waits until they are stored (acks=all). Not idempotent: who repeats a send may store it twice. */
export class Producer {
  readonly #cluster: Cluster
  readonly #options: ProducerOptions
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
    const { partitions } = await this.#cluster.topic(topic, { create: true })
    const keyless = this.#nextPartition++ % partitions.length
    const byPartition = new Map<number, NewRecord[]>()
    for (const record of records) {
      const target = partition ?? (record.key === null ? keyless : partitionOfKey(record.key, partitions.length))
      const run = byPartition.get(target)
      if (run === undefined) byPartition.set(target, [record])
      else run.push(record)
    }
    return Promise.all([...byPartition].map(([target, run]) => this.#store(topic, target, run)))
  }

  async #store(topic: string, partition: number, run: readonly NewRecord[]): Promise<Produced> {
    const { id } = await this.#cluster.topic(topic)
    const plain = encodeBatch(run)
    const batch = this.#options.compression === 'none' ? plain : await compressBatch(plain, this.#options.compression)
    const leader = await this.#cluster.leader(topic, partition)
    const answer = await leader.request(
      produce,
      {
        acks: allReplicas,
        timeoutMs: this.#options.timeoutMs,
        topicData: [{ name: topic, topicId: id, partitionData: [{ index: partition, records: batch }] }],
      },
      this.#options.timeoutMs,
    )
    const stored = answer.responses[0]?.partitionResponses[0]
    if (stored === undefined) throw new Error(`Produce to ${topic}: the answer names no partition`)
    checkCode(stored.errorCode, `produce to partition ${partition} of ${topic}`, stored.errorMessage)
    return { partition, baseOffset: stored.baseOffset, count: run.length }
  }
}
