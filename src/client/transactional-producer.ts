import { addPartitionsToTxn } from '../wire/kafka/contracts/add-partitions-to-txn.ts'
import { endTxn } from '../wire/kafka/contracts/end-txn.ts'
import { initProducerId } from '../wire/kafka/contracts/init-producer-id.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import {
  AT,
  attributesOf,
  recordCountOf,
  seal,
  stamp,
  TRANSACTIONAL_BIT,
  writeInt64,
} from '../wire/kafka/record-batch.ts'
import type { Cluster } from './cluster.ts'
import { checkCode } from './kafka-error.ts'
import type { TopicPartition } from './partition-offsets.ts'
import { BatchRefused, byTopic, handOver, onceReady, type PartitionBatch, partitionKey } from './produce-together.ts'
import { ProducerIdentity } from './producer-identity.ts'

export interface TransactionOptions {
  readonly transactionalId: string
  /** A transaction that its producer has left is aborted by the cluster after this time. */
  readonly transactionTimeoutMs: number
  /** Time the leader may take to have a batch on its replicas. */
  readonly produceTimeoutMs: number
}

const noLeaderEpoch = -1
/** With this level of `transaction.version` partitions join implicitly and the epoch rises with each transaction (KIP-890). */
const implicitLevel = 2
/** What was there before KIP-890: newer versions of these requests mean the newer protocol. */
const explicitVersions = { addPartitions: 3, produce: 11, endTxn: 4 }

/**
 * Transactions under one producer epoch. Whatever fails is thrown, but that the cluster is not ready (nothing was done), and leaves the producer
 * unusable: nobody knows what the cluster has done, and only a new epoch settles it.
 */
export class TransactionalProducer {
  readonly #cluster: Cluster
  readonly #options: TransactionOptions
  readonly #isImplicit: boolean
  #identity: ProducerIdentity
  /** Settled when what was sent last is with its connections. */
  #handedOver: Promise<unknown> = Promise.resolve()

  /**
   * Fences every earlier producer of the transactional id and settles its transaction: when this resolves, that is committed or aborted for
   * good. Throws `KafkaError`, `ConnectionLost`.
   */
  static async open(cluster: Cluster, options: TransactionOptions): Promise<TransactionalProducer> {
    const { transactionalId, transactionTimeoutMs } = options
    const coordinator = await cluster.transactionCoordinator(transactionalId)
    const answer = await onceReady(cluster.clock, async () => {
      const answered = await coordinator.request(initProducerId, { transactionalId, transactionTimeoutMs })
      checkCode(answered.errorCode, `producer id of ${transactionalId}`)
      return answered
    })
    const identity = new ProducerIdentity(answer.producerId, answer.producerEpoch)
    const isImplicit = coordinator.featureLevel('transaction.version') >= implicitLevel
    return new TransactionalProducer(cluster, options, identity, isImplicit)
  }

  private constructor(cluster: Cluster, options: TransactionOptions, identity: ProducerIdentity, isImplicit: boolean) {
    this.#cluster = cluster
    this.#options = options
    this.#identity = identity
    this.#isImplicit = isImplicit
  }

  /** Opens a transaction over these partitions. */
  async begin(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#isImplicit) return
    const { transactionalId } = this.#options
    const coordinator = await this.#cluster.transactionCoordinator(transactionalId)
    const topics = [...byTopic(partitions)].map(([name, members]) => ({
      name,
      partitions: members.map(({ partition }) => partition),
    }))
    const request = {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: this.#identity.producerId,
      v3AndBelowProducerEpoch: this.#identity.producerEpoch,
      v3AndBelowTopics: topics,
    }
    await onceReady(this.#cluster.clock, async () => {
      const answer = await coordinator.request(addPartitionsToTxn, request, 0, explicitVersions.addPartitions)
      for (const { name, resultsByPartition } of answer.resultsByTopicV3AndBelow)
        for (const { partitionIndex, partitionErrorCode } of resultsByPartition)
          checkAdded(partitionErrorCode, { topic: name, partition: partitionIndex })
    })
  }

  /**
   * Stores the batches, at most one of a partition, on all replicas; their base offsets in the same order. The next call need not wait for that:
   * batches go out in the order of the calls. Throws `BatchRefused` for the first that was refused, once every leader has answered.
   */
  async send(batches: readonly PartitionBatch[]): Promise<readonly number[]> {
    for (const batch of batches) this.#sign(batch)
    const { transactionalId, produceTimeoutMs: timeoutMs } = this.#options
    const newest = this.#isImplicit ? undefined : explicitVersions.produce
    const handedOver = this.#handedOver.then(() =>
      handOver(this.#cluster, batches, { transactionalId, timeoutMs, newest }),
    )
    this.#handedOver = handedOver.catch(() => undefined)
    return (await handedOver).offsets
  }

  /** Commits the transaction. When this throws it may be committed or not. */
  async commit(): Promise<void> {
    const { transactionalId } = this.#options
    const { producerId, producerEpoch } = this.#identity
    const coordinator = await this.#cluster.transactionCoordinator(transactionalId)
    const newest = this.#isImplicit ? undefined : explicitVersions.endTxn
    const request = { transactionalId, producerId, producerEpoch, committed: true }
    const answer = await coordinator.request(endTxn, request, 0, newest)
    checkCode(answer.errorCode, `end of the transaction of ${transactionalId}`)
    if (this.#isImplicit) this.#identity = new ProducerIdentity(answer.producerId, answer.producerEpoch)
  }

  /** Only base offset and leader epoch lie outside the checksum. */
  #sign(target: PartitionBatch): void {
    const { batch } = target
    const { producerId, producerEpoch } = this.#identity
    const key = partitionKey(target)
    stamp(batch, 0, noLeaderEpoch)
    batch.writeInt16BE(attributesOf(batch) | TRANSACTIONAL_BIT, AT.attributes)
    writeInt64(batch, AT.producerId, producerId)
    batch.writeInt16BE(producerEpoch, AT.producerEpoch)
    batch.writeInt32BE(this.#identity.nextSequence(key), AT.baseSequence)
    seal(batch)
    this.#identity.stored(key, recordCountOf(batch))
  }
}

const checkAdded = (code: number, target: TopicPartition): void => {
  // of an answer that refuses one partition the others say only that nothing was done
  if (code !== errorCodes.NONE && code !== errorCodes.OPERATION_NOT_ATTEMPTED) throw new BatchRefused(code, target)
}
