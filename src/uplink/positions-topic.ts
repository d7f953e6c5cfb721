import type { Cluster, TopicMetadata } from '../client/cluster.ts'
import { isUnknownTopic, KafkaError } from '../client/kafka-error.ts'
import { latestOffset, offsetFor, type TopicPartition } from '../client/partition-offsets.ts'
import { PartitionReader } from '../client/partition-reader.ts'
import { retrying } from '../client/retry.ts'
import { createTopic, topicConfigs } from '../client/topic-admin.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import type { PositionsPlace } from '../state/uplink.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { decodePosition, type Position } from './position.ts'
import { UplinkStopped } from './uplink-errors.ts'

const newPartitions = 16
/** Brokers hear of a new topic one after the other. */
const creationMs = 10_000
const maxWaitMs = 500
const lookMs = 20
const maxBytes = 1 << 20
/**
 * Small segments, so that a gateway that comes without a copy reads little more than what counts. Stamped by the brokers: those of Kafka 4 refuse what
 * a clock that is an hour ahead has stamped, and without positions nothing goes up.
 */
const newConfigs = new Map([
  ['cleanup.policy', 'compact'],
  ['message.timestamp.type', 'LogAppendTime'],
  ['segment.bytes', String(8 << 20)],
  ['min.cleanable.dirty.ratio', '0.1'],
])

/** The compacted topic upstream that holds the positions of all logs, as one log sees it. */
export class PositionsTopic {
  readonly #cluster: Cluster
  readonly #name: string
  readonly #logId: string
  readonly #topicId: string
  readonly #partition: number
  /** That say which one it is. */
  readonly #partitions: number
  /** More than when the positions of the log began: they stay where they are. */
  readonly hasGrown: boolean

  /** Makes the topic when it is missing. Throws `UplinkStopped` where only somebody with more rights can help. */
  static async open(
    cluster: Cluster,
    name: string,
    logId: string,
    replicas: number,
    place: PositionsPlace | undefined,
  ): Promise<PositionsTopic> {
    const topic = (await find(cluster, name)) ?? (await create(cluster, name, replicas))
    await checkPolicy(cluster, name)
    return new PositionsTopic(cluster, topic, logId, place)
  }

  /** As it is; undefined: there is none. */
  static async find(
    cluster: Cluster,
    name: string,
    logId: string,
    place: PositionsPlace | undefined,
  ): Promise<PositionsTopic | undefined> {
    const topic = await find(cluster, name)
    return topic === undefined ? undefined : new PositionsTopic(cluster, topic, logId, place)
  }

  private constructor(
    cluster: Cluster,
    { name, id, partitions }: TopicMetadata,
    logId: string,
    place: PositionsPlace | undefined,
  ) {
    this.#cluster = cluster
    this.#name = name
    this.#logId = logId
    this.#topicId = id
    this.#partitions = place?.topicId === id ? place.partitions : partitions.length
    this.#partition = partitionOfKey(Buffer.from(logId), this.#partitions)
    this.hasGrown = this.#partitions !== partitions.length
  }

  get topicId(): string {
    return this.#topicId
  }

  /** Where all positions of the log are. */
  get source(): TopicPartition {
    return { topic: this.#name, partition: this.#partition }
  }

  placeAt(next: number): PositionsPlace {
    return { topicId: this.#topicId, partitions: this.#partitions, partition: this.#partition, next }
  }

  /**
   * Tells `found` every position of this log from `place` on (from the start when that is another topic's), in order, up to the high
   * watermark of now, and returns the place to go on from. Only committed ones count; while a transaction is open below that end this waits
   * for it: believing an older position would send records twice. With `look` it stops there: before the fence the open one may be our own.
   */
  async read(
    place: PositionsPlace | undefined,
    found: (position: Position) => void,
    { look = false } = {},
  ): Promise<PositionsPlace> {
    const isOurs = place?.topicId === this.#topicId && place.partition === this.#partition
    // of records that are not committed yet the end counts, too
    const end = (await offsetFor(this.#cluster, this.source, latestOffset)) ?? 0
    const start = isOurs ? Math.min(place.next, end) : 0
    const options = { maxWaitMs: look ? lookMs : maxWaitMs, maxBytes, readCommitted: true }
    const reader = new PartitionReader(this.#cluster, this.source, start, options)
    while (reader.position < end) {
      const before = reader.position
      for (const record of await reader.read()) {
        const position = decodePosition(this.#logId, record)
        if (position !== undefined) found(position)
      }
      if (look && reader.position === before) break
    }
    return this.placeAt(reader.position)
  }
}

const find = async (cluster: Cluster, name: string): Promise<TopicMetadata | undefined> => {
  try {
    return await cluster.topic(name, { refresh: true })
  } catch (error) {
    if (isUnknownTopic(error)) return undefined
    throw error
  }
}

const create = async (cluster: Cluster, name: string, replicationFactor: number): Promise<TopicMetadata> => {
  try {
    await createTopic(cluster, { name, partitions: newPartitions, replicationFactor, configs: newConfigs })
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    // another gateway was faster
    if (error.code !== errorCodes.TOPIC_ALREADY_EXISTS && !error.retriable) {
      throw new UplinkStopped(
        `the topic of positions cannot be created (${error.message}): allow CREATE on topic ${name}, or create it with cleanup.policy=compact`,
      )
    }
  }
  return retrying(cluster.clock, creationMs, isUnknownTopic, () => cluster.topic(name, { refresh: true }))
}

/** A topic that forgets by age would bring everything up a second time. Who may not ask for its configs is believed. */
const checkPolicy = async (cluster: Cluster, name: string): Promise<void> => {
  const policy = await policyOf(cluster, name)
  if (policy === undefined || policy === 'compact') return
  throw new UplinkStopped(`topic ${name} has cleanup.policy=${policy}; positions need cleanup.policy=compact`)
}

const policyOf = async (cluster: Cluster, name: string): Promise<string | undefined> => {
  try {
    const configs = await topicConfigs(cluster, name)
    return configs.find(config => config.name === 'cleanup.policy')?.value ?? undefined
  } catch (error) {
    if (error instanceof KafkaError && !error.retriable) return undefined
    throw error
  }
}
