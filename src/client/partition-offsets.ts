import { listOffsets } from '../wire/kafka/contracts/list-offsets.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import { ConnectionLost, isUnknownTopic, KafkaError } from './kafka-error.ts'
import { retrying } from './retry.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Special timestamps of ListOffsets. */
export const latestOffset = -1
export const earliestOffset = -2

const lookupMs = 10_000

/**
 * The offset for a timestamp, a special one or milliseconds; undefined when no record is that young. A change of leaders is waited out.
 * Throws `KafkaError`, `ConnectionLost`.
 */
export const offsetFor = async (
  cluster: Cluster,
  source: TopicPartition,
  timestamp: number,
): Promise<number | undefined> => (await offsetsFor(cluster, [source], timestamp))[0]

/** As `offsetFor` for many partitions, in their order; each leader is asked once for all of its own. */
export const offsetsFor = async (
  cluster: Cluster,
  sources: readonly TopicPartition[],
  timestamp: number,
): Promise<readonly (number | undefined)[]> => {
  const found = new OffsetsFound()
  await retrying(cluster.clock, lookupMs, isStaleLeader, async () => {
    const missing = sources.filter(source => !found.has(source))
    const asked = [...(await byLeader(cluster, missing))].map(async ([leader, topics]) => {
      const answer = await leader.request(listOffsets, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [...topics].map(([name, partitions]) => ({
          name,
          partitions: [...partitions].map(partitionIndex => ({ partitionIndex, timestamp })),
        })),
        timeoutMs: lookupMs,
      })
      found.take(cluster, answer.topics)
    })
    const failed = (await Promise.allSettled(asked)).find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
    const left = missing.find(source => !found.has(source))
    if (left !== undefined) throw new ConnectionLost(`ListOffsets of ${left.topic}: the answer names no partition`)
  })
  return sources.map(source => found.offset(source))
}

const byLeader = async (
  cluster: Cluster,
  sources: readonly TopicPartition[],
): Promise<Map<BrokerConnection, Map<string, Set<number>>>> => {
  const wanted = new Map<BrokerConnection, Map<string, Set<number>>>()
  for (const { topic, partition } of sources) {
    const leader = await cluster.leader(topic, partition)
    const topics = wanted.get(leader) ?? new Map<string, Set<number>>()
    wanted.set(leader, topics.set(topic, (topics.get(topic) ?? new Set()).add(partition)))
  }
  return wanted
}

const isStaleLeader = (error: unknown): boolean =>
  error instanceof KafkaError && error.retriable && !isUnknownTopic(error)

interface AnsweredTopic {
  readonly name: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly errorCode: number
    readonly offset: number
  }[]
}

class OffsetsFound {
  readonly #topics = new Map<string, Map<number, number>>()

  has({ topic, partition }: TopicPartition): boolean {
    return this.#topics.get(topic)?.has(partition) ?? false
  }

  offset({ topic, partition }: TopicPartition): number | undefined {
    const offset = this.#topics.get(topic)?.get(partition) ?? -1
    return offset < 0 ? undefined : offset
  }

  /** Keeps what was found; throws the first error afterwards. */
  take(cluster: Cluster, topics: readonly AnsweredTopic[]): void {
    let failed: KafkaError | undefined
    for (const { name, partitions } of topics) {
      const offsets = this.#topics.get(name) ?? new Map<number, number>()
      this.#topics.set(name, offsets)
      for (const { partitionIndex, errorCode, offset } of partitions) {
        if (errorCode === errorCodes.NONE) offsets.set(partitionIndex, offset)
        else {
          cluster.forget(name)
          failed ??= new KafkaError(errorCode, `offset of partition ${partitionIndex} of ${name}`)
        }
      }
    }
    if (failed !== undefined) throw failed
  }
}
