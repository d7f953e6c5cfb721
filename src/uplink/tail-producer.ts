import type { Cluster } from '../client/cluster.ts'
import { ConnectionLost, KafkaError } from '../client/kafka-error.ts'
import { BatchRefused, handOver, type PartitionBatch, partitionKey } from '../client/produce-together.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { RoundProducer } from './round.ts'
import { allEnded, type Tails } from './tails.ts'

/** What stands in the partition is not what this log believed. */
const strange: readonly number[] = [
  errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  errorCodes.DUPLICATE_SEQUENCE_NUMBER,
  errorCodes.UNKNOWN_PRODUCER_ID,
  errorCodes.INVALID_PRODUCER_EPOCH,
]

/** Brings rounds up where there are no transactions: each batch stands as soon as it is taken, the positions come behind all of them. */
export class TailProducer implements RoundProducer {
  readonly #cluster: Cluster
  readonly #tails: Tails
  readonly #timeoutMs: number
  /** What is under way, by partition. */
  readonly #underWay = new Map<string, Promise<unknown>>()
  #hasFailed = false

  constructor(cluster: Cluster, tails: Tails, timeoutMs: number) {
    this.#cluster = cluster
    this.#tails = tails
    this.#timeoutMs = timeoutMs
  }

  async begin(): Promise<void> {}

  /**
   * Stores the batches, one of a partition at a time: several would hide from the leader which of them is behind what. Throws once nothing is under way
   * any more.
   */
  async send(batches: readonly PartitionBatch[]): Promise<readonly number[]> {
    const keys = batches.map(partitionKey)
    const before = Promise.allSettled(keys.map(key => this.#underWay.get(key)))
    const sent = before.then(() => this.#send(batches))
    for (const key of keys) this.#underWay.set(key, sent)
    try {
      return await sent
    } catch (error) {
      await Promise.allSettled(this.#underWay.values())
      throw error
    }
  }

  async commit(): Promise<void> {}

  async #send(batches: readonly PartitionBatch[]): Promise<readonly number[]> {
    if (this.#hasFailed) throw new ConnectionLost('the session has ended')
    for (const batch of batches) this.#tails.sign(batch)
    const options = { transactionalId: null, timeoutMs: this.#timeoutMs }
    try {
      const offsets = await (await handOver(this.#cluster, batches, options)).offsets
      await allEnded(batches.map((batch, index) => this.#tails.stored(batch, offsets[index]!)))
      return offsets
    } catch (error) {
      this.#hasFailed = true
      throw this.#explained(error, batches)
    }
  }

  #explained(error: unknown, batches: readonly PartitionBatch[]): unknown {
    if (!(error instanceof BatchRefused) || !strange.includes(error.code)) return error
    const { topic, partition } = error.target
    const target = batches.find(batch => batch.topic === topic && batch.partition === partition)
    if (target !== undefined) this.#tails.refused(target, error.code)
    const what = `partition ${partition} of ${topic} took in what an earlier session had left under way`
    return new KafkaError(error.code, what)
  }
}
