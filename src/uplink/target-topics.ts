import type { Cluster, TopicMetadata } from '../client/cluster.ts'
import { isUnknownTopic, KafkaError } from '../client/kafka-error.ts'
import { latestOffset, offsetsFor } from '../client/partition-offsets.ts'
import { createTopic } from '../client/topic-admin.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'

/** A topic upstream cannot take records, and why; the text says what helps. */
export class TargetRefused extends Error {
  override name = 'TargetRefused'
}

export interface NewTarget {
  readonly partitions: number
  /** -1: as the cluster has it. */
  readonly replicas: number
  /** Only the newest record of each key counts. */
  readonly isCompacted: boolean
}

/** The topics upstream, made when they are missing. */
export class TargetTopics {
  readonly #cluster: Cluster
  /** Made by us, and their leaders were not yet heard. */
  readonly #made = new Set<string>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /**
   * The topic, undefined while its brokers have yet to hear of it: of one made just now they tell the leaders before those know that they are, and a
   * batch that such a leader refuses would end the session. Throws `TargetRefused` where only a change upstream helps, and what `Cluster` throws.
   */
  async find(name: string, wanted: NewTarget): Promise<TopicMetadata | undefined> {
    try {
      const topic = await this.#cluster.topic(name)
      if (this.#made.has(name)) await this.#lead(topic)
      return topic
    } catch (error) {
      if (isUnknownTopic(error)) return this.#create(name, wanted)
      throw refusalOf(error, `topic ${name}: allow DESCRIBE and WRITE on it`)
    }
  }

  /** Returns once all its leaders answer as such. */
  async #lead({ name, partitions }: TopicMetadata): Promise<void> {
    const all = partitions.map((_, partition) => ({ topic: name, partition }))
    await offsetsFor(this.#cluster, all, latestOffset)
    this.#made.delete(name)
  }

  async #create(name: string, { partitions, replicas, isCompacted }: NewTarget): Promise<undefined> {
    const configs = new Map(isCompacted ? [['cleanup.policy', 'compact']] : [])
    try {
      this.#made.add(name)
      await createTopic(this.#cluster, { name, partitions, replicationFactor: replicas, configs })
    } catch (error) {
      if (error instanceof KafkaError && error.code === errorCodes.TOPIC_ALREADY_EXISTS) return
      throw refusalOf(error, `topic ${name} is missing: allow CREATE on it, or create it with ${partitions} partitions`)
    }
  }
}

const refusalOf = (error: unknown, advice: string): unknown =>
  error instanceof KafkaError && !error.retriable ? new TargetRefused(`${advice} (${error.message})`) : error
