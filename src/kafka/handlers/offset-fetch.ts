import type { FetchedOffset, OffsetFetchRequest } from '../../broker/groups/groups.ts'
import { BrokerError } from '../../core/errors.ts'
import { type Uuid, ZERO_UUID } from '../../core/uuid.ts'
import type { RequestOf } from '../../wire/kafka/api.ts'
import { offsetFetch } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { distinctBy, duplicatesOf } from '../duplicates.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

type RequestGroup = RequestOf<typeof offsetFetch>['groups'][number]

interface TopicAnswer {
  readonly name: string
  readonly topicId: Uuid
  readonly partitions: {
    partitionIndex: number
    committedOffset: number
    committedLeaderEpoch: number
    metadata: string | null
    errorCode: number
  }[]
}

interface GroupAnswer {
  readonly groupId: string
  readonly topics: TopicAnswer[]
  readonly errorCode: number
}

/**
 * OffsetFetch (9), versions 1-10. What groups have committed, durable; offset -1 where there is nothing. Offsets are always stable:
 * there are no transactions.
 * - v1: a failure stands at each partition; from v2 on at the top, from v8 on at the group
 * - v2: null topics: everything that the group has committed
 * - v5: committed leader epoch
 * - v8: several groups in one request (KIP-709); one named twice is refused, once
 * - v9: member id and epoch, of no use to classic groups
 * - v10: topic ids in place of names; an unknown id is UNKNOWN_TOPIC_ID
 */
export const handleOffsetFetch = defineHandler(offsetFetch, async (request, context) => {
  if (context.version >= 8) {
    const duplicates = duplicatesOf(request.groups.map(groupIdOf))
    const groups = distinctBy(request.groups, groupIdOf)
    return { groups: await Promise.all(groups.map(group => fetchGroup(group, duplicates.has(group.groupId), context))) }
  }
  const topics = request.topics?.map(topic => ({ ...topic, topicId: ZERO_UUID })) ?? null
  const group = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics }
  const answer = await fetchGroup(group, false, context)
  if (context.version >= 2 || answer.errorCode === 0) return answer
  const { errorCode } = answer
  const failed = topics?.map(topic => unanswered(topic.name, topic.topicId, topic.partitionIndexes, errorCode))
  return { topics: failed ?? [] }
})

const groupIdOf = ({ groupId }: RequestGroup): string => groupId

/** The names of what is asked; topics whose id is unknown are answered at once. */
function resolve(group: RequestGroup, { services, version }: RequestContext) {
  const unknown: TopicAnswer[] = []
  if (group.topics === null) return { wanted: null, unknown }
  const wanted: NonNullable<OffsetFetchRequest['topics']>[number][] = []
  for (const { name, topicId, partitionIndexes } of group.topics) {
    const topic = version >= 10 ? services.broker.topics.findById(topicId)?.name : name
    if (topic !== undefined) wanted.push({ topic, partitions: partitionIndexes })
    else unknown.push(unanswered('', topicId, partitionIndexes, errorCodes.UNKNOWN_TOPIC_ID))
  }
  return { wanted, unknown }
}

async function fetchGroup(group: RequestGroup, isDuplicate: boolean, context: RequestContext): Promise<GroupAnswer> {
  const { groupId } = group
  const { wanted, unknown } = resolve(group, context)
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', 'the group is named twice in the request')
    const [fetched] = await context.services.groups.fetchOffsets([{ groupId, topics: wanted }])
    const topics = byTopic(fetched?.offsets ?? [], context)
    // a topic asked for without partitions is answered without partitions
    for (const { topic, partitions } of wanted ?? []) {
      if (partitions.length === 0) topics.push({ name: topic, topicId: idOf(topic, context), partitions: [] })
    }
    return { groupId, topics: [...topics, ...unknown], errorCode: 0 }
  } catch (error) {
    return { groupId, topics: [], errorCode: context.refusal(error).errorCode }
  }
}

function byTopic(offsets: readonly FetchedOffset[], context: RequestContext): TopicAnswer[] {
  const answers = new Map<string, TopicAnswer>()
  for (const { topic, partition, offset, leaderEpoch, metadata } of offsets) {
    let answer = answers.get(topic)
    if (answer === undefined) {
      answer = { name: topic, topicId: idOf(topic, context), partitions: [] }
      answers.set(topic, answer)
    }
    answer.partitions.push({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      metadata,
      errorCode: 0,
    })
  }
  return [...answers.values()]
}

const idOf = (topic: string, { services }: RequestContext): Uuid => services.broker.topics.find(topic)?.id ?? ZERO_UUID

function unanswered(name: string, topicId: Uuid, partitions: readonly number[], errorCode: number): TopicAnswer {
  return {
    name,
    topicId,
    partitions: partitions.map(partitionIndex => ({
      partitionIndex,
      committedOffset: -1,
      committedLeaderEpoch: -1,
      metadata: '',
      errorCode,
    })),
  }
}
