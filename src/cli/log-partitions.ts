import { partitionId } from '../core/brand.ts'
import { internalPartitions } from '../state/internal-partitions.ts'
import { TopicsView } from '../state/topics.ts'
import { firstTopicPartitionId, logControlPartition } from '../storage/log.ts'
import { openRecords } from '../wire/kafka/records.ts'

const internalNames = new Map<number, string>([
  [logControlPartition, 'log-control'],
  ...Object.entries(internalPartitions).map(([name, id]): [number, string] => [id, name]),
])

/** Names of partitions, learnt from the records of the topics partition in log order. Deleted topics keep theirs. */
export class PartitionNames {
  readonly #topics = new TopicsView()
  readonly #names = new Map<number, string>()

  /** Takes a verified batch of any partition. */
  learn(partition: number, batch: Buffer): void {
    if (partition !== internalPartitions.topics) return
    const cursor = openRecords(batch)
    while (cursor.next()) {
      const key = cursor.key()
      if (key === null) continue
      this.#topics.apply(key, cursor.value())
      const topic = this.#topics.get(key.toString())
      for (const [index, id] of (topic?.partitions ?? []).entries()) this.#names.set(id, `${key}/${index}`)
    }
  }

  /** `telemetry/0`, `groups`, or `partition 40` where no record names it. */
  nameOf(partition: number): string {
    const internal = partition < firstTopicPartitionId ? internalNames.get(partition) : this.#names.get(partition)
    return internal ?? `partition ${partition}`
  }

  /** The partition of a topic as it is now; undefined when there is none. */
  find(topic: string, index: number): number | undefined {
    return this.#topics.get(topic)?.partitions[index]
  }

  /** Number of partitions of the topic. */
  count(topic: string): number {
    return this.#topics.get(topic)?.partitions.length ?? 0
  }
}

/** Whether the id is of the broker's own state. */
export const isInternal = (partition: number): boolean => partitionId(partition) < firstTopicPartitionId
