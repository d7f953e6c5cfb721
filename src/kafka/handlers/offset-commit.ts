import type { CommitRequest, OffsetCommit } from '../../broker/groups/groups.ts'
import { BrokerError, type ErrorKind } from '../../core/errors.ts'
import type { RequestOf } from '../../wire/kafka/api.ts'
import { offsetCommit } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { findTopic } from '../topic-lookup.ts'

type RequestTopic = RequestOf<typeof offsetCommit>['topics'][number]
type RequestPartition = RequestTopic['partitions'][number]

/** A partition of the request with what became of it so far. */
interface Commit {
  readonly offset: OffsetCommit | undefined
  errorCode: number
}

/**
 * OffsetCommit (8), versions 2-10. All offsets of a request in one group commit of the log, answered once it is durable. Unknown topics
 * and partitions are refused one by one.
 * - v2-v4: a retention time, ignored: `offsets.retention.minutes` counts
 * - v6: committed leader epoch
 * - v7: group instance id
 * - v9: a generation for an unknown group is GROUP_ID_NOT_FOUND, before it is ILLEGAL_GENERATION
 * - v10: topic ids in place of names
 */
export const handleOffsetCommit = defineHandler(offsetCommit, async (request, context) => {
  const topics = request.topics.map(topic => ({
    name: topic.name,
    topicId: topic.topicId,
    partitions: topic.partitions.map(partition => ({
      partitionIndex: partition.partitionIndex,
      commit: resolve(topic, partition, context),
    })),
  }))
  const commits = topics.flatMap(({ partitions }) => partitions.map(({ commit }) => commit))
  await store(request, commits, context)
  return {
    topics: topics.map(({ partitions, ...topic }) => ({
      ...topic,
      partitions: partitions.map(({ partitionIndex, commit }) => ({ partitionIndex, errorCode: commit.errorCode })),
    })),
  }
})

function resolve({ name, topicId }: RequestTopic, wanted: RequestPartition, context: RequestContext): Commit {
  const { services, version } = context
  try {
    const topic = findTopic(services, version >= 10 ? { id: topicId } : { name })
    services.broker.topics.partition(topic, wanted.partitionIndex)
    const offset = {
      topic: topic.name,
      partition: wanted.partitionIndex,
      offset: wanted.committedOffset,
      leaderEpoch: wanted.committedLeaderEpoch,
      metadata: wanted.committedMetadata,
    }
    return { offset, errorCode: 0 }
  } catch (error) {
    return { offset: undefined, errorCode: context.refusal(error).errorCode }
  }
}

async function store(
  request: RequestOf<typeof offsetCommit>,
  commits: readonly Commit[],
  context: RequestContext,
): Promise<void> {
  const accepted = commits.filter(({ offset }) => offset !== undefined)
  if (accepted.length === 0) return
  const commitRequest: CommitRequest = {
    groupId: request.groupId,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    generation: request.generationIdOrMemberEpoch,
    offsets: accepted.flatMap(({ offset }) => offset ?? []),
  }
  const errorCodesOfAll = await commitAll(commitRequest, context)
  for (const [index, commit] of accepted.entries()) commit.errorCode = errorCodesOfAll(index)
}

async function commitAll(request: CommitRequest, context: RequestContext): Promise<(index: number) => number> {
  try {
    const kinds: readonly (ErrorKind | undefined)[] = await context.services.groups.commit(request)
    return index => context.codeOf(kinds[index])
  } catch (error) {
    const { errorCode } = context.refusal(error)
    const isUnknownGroup = error instanceof BrokerError && error.kind === 'groupNotFound'
    const shown = isUnknownGroup && context.version < 9 ? errorCodes.ILLEGAL_GENERATION : errorCode
    return () => shown
  }
}
