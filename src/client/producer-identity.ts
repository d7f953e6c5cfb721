import { initProducerId } from '../wire/kafka/contracts/init-producer-id.ts'
import type { Cluster } from './cluster.ts'
import { checkCode } from './kafka-error.ts'

/** What a broker tells repeats by (KIP-98): a producer id, and the next sequence of each partition. */
export class ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
  readonly #next = new Map<string, number>()

  constructor(producerId: number, producerEpoch: number) {
    this.producerId = producerId
    this.producerEpoch = producerEpoch
  }

  nextSequence(partition: string): number {
    return this.#next.get(partition) ?? 0
  }

  /** So many records are stored. Sequences wrap from 2147483647 to 0. */
  stored(partition: string, count: number): void {
    this.#next.set(partition, (this.nextSequence(partition) + count) % 2 ** 31)
  }
}

/** A new identity; undefined from brokers older than 0.11, where repeats are stored twice. */
export const newIdentity = async (cluster: Cluster): Promise<ProducerIdentity | undefined> => {
  const connection = await cluster.any()
  if (!connection.serves(initProducerId)) return undefined
  const answer = await connection.request(initProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 })
  checkCode(answer.errorCode, 'producer id')
  return new ProducerIdentity(answer.producerId, answer.producerEpoch)
}
