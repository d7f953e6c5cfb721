import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import type { CentralCluster } from './central-cluster.ts'
import type { CentralPartition } from './central-partition.ts'
import { must } from './must.ts'
import type { SimRandom } from './random.ts'

/** A record that was written into a topic of the central cluster. */
export interface Sent {
  /** Of the topic: another one of the same name has another. */
  readonly topicId: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string
  /** Of its own. */
  readonly value: string
  /** A rule of the gateway wants it. */
  readonly isOurs: boolean
  /** Readers of committed records see it. */
  isCommitted: boolean
  /** Retention has taken it since. */
  isEvicted: boolean
}

interface Producer {
  readonly producerId: number
  sequence: number
}

const transactionMs = 3_000

/** What writes commands into the central cluster, for gateways and devices of all kinds, in transactions and without, and remembers each. */
export class CentralCommands {
  readonly sent: Sent[] = []
  readonly #cluster: CentralCluster
  readonly #random: SimRandom
  /** Keys, and whether they are for the gateway. */
  readonly #keys: readonly (readonly [key: string, isOurs: boolean])[]
  #written = 0
  #producers = 0

  constructor(cluster: CentralCluster, random: SimRandom, keys: readonly (readonly [string, boolean])[]) {
    this.#cluster = cluster
    this.#random = random
    this.#keys = keys
  }

  /** A few records for one partition; those of a transaction count, or not, some time later. */
  write(topic: string): void {
    const found = this.#cluster.topics.get(topic)
    if (found === undefined) return
    const partition = this.#random.pick(found.partitions)
    if (!this.#random.chance(0.3)) return void this.#append(partition, found.id, undefined)
    const producer = { producerId: ++this.#producers, sequence: 0 }
    const written: Sent[] = []
    for (let left = this.#random.between(1, 3); left > 0; left--)
      written.push(...this.#append(partition, found.id, producer))
    const isCommitted = this.#random.chance(0.6)
    this.#cluster.later(this.#random.below(transactionMs), () => {
      partition.mark(producer.producerId, 0, isCommitted)
      for (const sent of written) sent.isCommitted = isCommitted
    })
  }

  /** Some of a partition goes, read or not. */
  evict(topic: string): void {
    const found = this.#cluster.topics.get(topic)
    if (found === undefined) return
    const partition = this.#random.pick(found.partitions)
    partition.evict(this.#random.between(partition.start, partition.end))
    for (const sent of this.sent) {
      const isThere = sent.topicId === found.id && sent.partition === partition.index
      if (isThere && sent.offset < partition.start) sent.isEvicted = true
    }
  }

  #append(partition: CentralPartition, topicId: string, producer: Producer | undefined): Sent[] {
    const { topic, index } = partition
    const offset = partition.end
    const records = Array.from({ length: this.#random.between(1, 3) }, (_, at) => {
      const [key, isOurs] = this.#random.pick(this.#keys)
      const value = `${this.#written++}`
      const isCommitted = producer === undefined
      return {
        topicId,
        topic,
        partition: index,
        offset: offset + at,
        key,
        value,
        isOurs,
        isCommitted,
        isEvicted: false,
      }
    })
    const batch = encodeBatch(
      records.map(({ key, value }) => ({
        timestampMs: this.#cluster.wallMs(),
        key: Buffer.from(key),
        value: Buffer.from(value),
      })),
      producer === undefined
        ? {}
        : {
            producer: { producerId: producer.producerId, producerEpoch: 0, baseSequence: producer.sequence },
            transactional: true,
          },
    )
    const { errorCode, baseOffset } = partition.append(batch)
    must(errorCode === errorCodes.NONE && baseOffset === offset, () => `a batch was not stored: ${errorCode}`)
    if (producer !== undefined) producer.sequence += records.length
    this.sent.push(...records)
    return records
  }
}
