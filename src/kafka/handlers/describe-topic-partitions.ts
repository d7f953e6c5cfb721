import { checkTopicName } from '../../broker/topic-name.ts'
import type { Topic } from '../../broker/topics.ts'
import { BrokerError } from '../../core/errors.ts'
import { ZERO_UUID } from '../../core/uuid.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { describeTopicPartitions } from '../../wire/kafka/contracts/index.ts'
import { isInternalTopic, onlyReplica } from '../brokers.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

type Cursor = NonNullable<RequestOf<typeof describeTopicPartitions>['cursor']>
type TopicAnswer = ResponseInputOf<typeof describeTopicPartitions>['topics'][number]

/** Kafka's `max.request.partition.size.limit`. */
const maxPartitions = 2000

/**
 * DescribeTopicPartitions (75), version 0. Topics by name in order, up to a number of partitions; where the limit cuts, a cursor says how
 * to go on. No topics means all. Never creates a topic.
 */
export const handleDescribeTopicPartitions = defineHandler(describeTopicPartitions, (request, context) => {
  const { topics } = context.services.broker
  const asked = request.topics.length > 0 ? request.topics.map(({ name }) => name) : namesOf(topics.all())
  const names = [...new Set(asked)].sort().filter(name => request.cursor === null || name >= request.cursor.topicName)
  let left = Math.max(1, Math.min(request.responsePartitionLimit, maxPartitions))
  const answers: TopicAnswer[] = []
  for (const name of names) {
    const from = firstPartition(name, request.cursor)
    const topic = topics.find(name)
    const count = (topic?.partitions.length ?? 0) - from
    if (left === 0 && count > 0) return { topics: answers, nextCursor: { topicName: name, partitionIndex: from } }
    answers.push(topic === undefined ? absent(name, context) : present(topic, from, left, context))
    if (count > left) return { topics: answers, nextCursor: { topicName: name, partitionIndex: from + left } }
    left -= Math.max(count, 0)
  }
  return { topics: answers, nextCursor: null }
})

const namesOf = (topics: Iterable<Topic>): string[] => [...topics].map(({ name }) => name)

const firstPartition = (name: string, cursor: Cursor | null): number =>
  cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0

function present(topic: Topic, from: number, limit: number, { services }: RequestContext): TopicAnswer {
  const { leaderEpoch } = services.broker
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.slice(from, from + limit).map((_, index) => ({
      errorCode: 0,
      partitionIndex: from + index,
      leaderEpoch,
      ...onlyReplica,
      // Java's Admin takes no null here, though the definition has it as the default
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
    })),
  }
}

function absent(name: string, context: RequestContext): TopicAnswer {
  try {
    checkTopicName(name)
    throw new BrokerError('unknownTopic', `there is no topic "${name}"`)
  } catch (error) {
    return { errorCode: context.refusal(error).errorCode, name, topicId: ZERO_UUID, isInternal: false, partitions: [] }
  }
}
