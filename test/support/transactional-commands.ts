import type { Cluster } from '../../src/client/cluster.ts'
import { isTransient } from '../../src/client/kafka-error.ts'
import { retrying } from '../../src/client/retry.ts'
import { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { encodeBatch } from '../../src/wire/kafka/batch-encoding.ts'

/** Writes numbered commands to gateways `g7` and `g8` in transactions, some of which are left to be aborted. */
export class TransactionalCommands {
  /** Values of those to `g7` that were committed, by the key behind its prefix. */
  readonly committed = new Map<string, string[]>()
  #sent = 0
  readonly #cluster: Cluster
  readonly #topic: string

  constructor(cluster: Cluster, topic: string) {
    this.#cluster = cluster
    this.#topic = topic
  }

  /** Each attempt fences the one before, which aborts what that had left open. */
  async write(transactions: number): Promise<void> {
    for (let left = transactions; left > 0; left--) {
      const options = { transactionalId: 'commands', transactionTimeoutMs: 10_000, produceTimeoutMs: 5_000 }
      // a cluster that has just started moves its coordinators
      const producer = await retrying(this.#cluster.clock, 10_000, isTransient, () => {
        this.#cluster.forgetAll()
        return TransactionalProducer.open(this.#cluster, options)
      })
      const partitions = [0, 1].map(partition => ({ topic: this.#topic, partition }))
      await producer.begin(partitions)
      const isCommitted = left % 3 !== 0
      const numbers = [0, 1].map(() =>
        Array.from({ length: 3 }, () => `${isCommitted ? '' : 'aborted '}${this.#sent++}`),
      )
      const batches = partitions.map((to, index) => ({ ...to, batch: this.#batch(to.partition, numbers[index]!) }))
      await producer.send(batches)
      if (!isCommitted) continue
      await producer.commit()
      for (const [index, values] of numbers.entries())
        this.committed.set(`d${index}`, [...(this.committed.get(`d${index}`) ?? []), ...values])
    }
  }

  #batch(partition: number, values: readonly string[]): Buffer {
    return encodeBatch(
      values.flatMap(value =>
        ['g7', 'g8'].map(gateway => ({
          timestampMs: Date.now(),
          key: Buffer.from(`${gateway}/d${partition}`),
          value: Buffer.from(value),
        })),
      ),
    )
  }
}
