import { type PartitionId, partitionId } from '../core/brand.ts'
import { firstTopicPartitionId } from '../storage/log.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

export interface Topic {
  readonly name: string
  /** 32 hex digits; a topic made again under the same name gets a new one. */
  readonly id: string
  /** Partition 0 first. */
  readonly partitions: readonly PartitionId[]
  /** What was set for this topic; everything else has its default. */
  readonly configs: ReadonlyMap<string, string>
  /** Made by the default route of MQTT, which may make only so many. */
  readonly isAutomatic?: true
}

interface TopicValue {
  id: string
  partitions: number[]
  configs: Record<string, string>
  auto?: true
}

// no topic may be named so, hence the key cannot collide
const nextPartitionKey = Buffer.from('/next-partition')

/** Topics with their partitions and configs. Key: topic name; one more key holds the next partition id, which is never reused. */
export class TopicsView implements View {
  readonly name = 'topics'
  readonly partition = internalPartitions.topics
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<string, Topic>()
  #nextPartition: number = firstTopicPartitionId

  get(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  getById(id: string): Topic | undefined {
    return this.#byId.get(id)
  }

  /** In order of creation. */
  all(): Iterable<Topic> {
    return this.#byName.values()
  }

  get size(): number {
    return this.#byName.size
  }

  /** The id that the next new partition gets. */
  get nextPartition(): number {
    return this.#nextPartition
  }

  /** Ids below it are never given, whatever the records say: one of them may be damaged. */
  skipPartitions(next: PartitionId): void {
    this.#nextPartition = Math.max(this.#nextPartition, next)
  }

  /** The changes that store `topic`, and with it that its partition ids are taken. */
  put(topic: Topic): StateChange[] {
    const value: TopicValue = {
      id: topic.id,
      partitions: [...topic.partitions],
      configs: Object.fromEntries(topic.configs),
      ...(topic.isAutomatic && { auto: true as const }),
    }
    const next = Math.max(this.#nextPartition, ...topic.partitions.map(id => id + 1))
    return [
      { view: this, key: nextPartitionKey, value: encodeState(next) },
      { view: this, key: Buffer.from(topic.name), value: encodeState(value) },
    ]
  }

  remove(topic: Topic): StateChange {
    return { view: this, key: Buffer.from(topic.name), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    if (key.equals(nextPartitionKey)) {
      if (value !== null) this.#nextPartition = Math.max(this.#nextPartition, decodeState<number>(value))
      return
    }
    const name = key.toString()
    const before = this.#byName.get(name)
    if (before !== undefined) this.#byId.delete(before.id)
    if (value === null) {
      this.#byName.delete(name)
      return
    }
    const { id, partitions, configs, auto } = decodeState<TopicValue>(value)
    const topic: Topic = {
      name,
      id,
      partitions: partitions.map(partitionId),
      configs: new Map(Object.entries(configs)),
      ...(auto && { isAutomatic: true as const }),
    }
    this.#byName.set(name, topic)
    this.#byId.set(id, topic)
  }

  *entries(): Iterable<StateRecord> {
    yield { key: nextPartitionKey, value: encodeState(this.#nextPartition) }
    for (const topic of this.#byName.values()) yield this.put(topic)[1]!
  }

  clear(): void {
    this.#byName.clear()
    this.#byId.clear()
    this.#nextPartition = firstTopicPartitionId
  }
}
