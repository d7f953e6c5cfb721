import { sleep } from '../platform/clock.ts'
import { deleteGroups } from '../wire/kafka/contracts/delete-groups.ts'
import { describeGroups } from '../wire/kafka/contracts/describe-groups.ts'
import { listGroups } from '../wire/kafka/contracts/list-groups.ts'
import { offsetCommit } from '../wire/kafka/contracts/offset-commit.ts'
import { offsetFetch } from '../wire/kafka/contracts/offset-fetch.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { Cluster } from './cluster.ts'
import type { Position } from './group-member.ts'
import { type Assignment, readAssignment } from './group-protocol.ts'
import { checkCode, isUnknownTopic, KafkaError } from './kafka-error.ts'
import { retrying } from './retry.ts'

const noSuchGroup = 'there is no such group'
/** The answer has codes only. */
const deleteFaults: Readonly<Record<number, string>> = {
  [errorCodes.GROUP_ID_NOT_FOUND]: noSuchGroup,
  [errorCodes.NON_EMPTY_GROUP]: 'it has members: stop them first',
}

export interface GroupSummary {
  readonly groupId: string
  readonly protocolType: string
  readonly state: string
}

export interface GroupDetails extends GroupSummary {
  readonly members: readonly {
    readonly memberId: string
    readonly clientId: string
    readonly host: string
    readonly assignment: Assignment
  }[]
}

/** Groups of all coordinators. The state is '' from brokers older than 2.6. */
export const listAllGroups = async (cluster: Cluster): Promise<readonly GroupSummary[]> => {
  const connections = await cluster.everyBroker()
  const answers = await Promise.all(connections.map(connection => connection.request(listGroups, {})))
  for (const { errorCode } of answers) checkCode(errorCode, 'list groups')
  return answers
    .flatMap(({ groups }) => groups)
    .map(({ groupId, protocolType, groupState }) => ({ groupId, protocolType, state: groupState }))
}

/** Throws `KafkaError` for an unknown group (from brokers that say so; older ones describe it as Dead). */
export const describeGroup = async (cluster: Cluster, groupId: string): Promise<GroupDetails> => {
  const coordinator = await cluster.coordinator(groupId)
  const answer = await coordinator.request(describeGroups, { groups: [groupId] })
  const group = answer.groups[0]
  if (group === undefined) throw new KafkaError(errorCodes.GROUP_ID_NOT_FOUND, `group ${groupId}`, noSuchGroup)
  checkCode(group.errorCode, `group ${groupId}`, group.errorMessage)
  const isConsumer = group.protocolType === 'consumer'
  const members = group.members.map(({ memberId, clientId, clientHost, memberAssignment }) => ({
    memberId,
    clientId,
    host: clientHost,
    assignment: isConsumer ? readAssignment(memberAssignment) : new Map(),
  }))
  return { groupId, protocolType: group.protocolType, state: group.groupState, members }
}

/** A coordinator that has just been made, or moved, loads its groups first. */
const coordinatorMs = 10_000
const isLoading = (error: unknown): boolean => error instanceof KafkaError && error.retriable && !isUnknownTopic(error)

/** Everything that the group has committed. */
export const committedOffsets = (cluster: Cluster, groupId: string): Promise<readonly Position[]> =>
  retrying(cluster.clock, coordinatorMs, isLoading, () => fetchOffsets(cluster, groupId))

const fetchOffsets = async (cluster: Cluster, groupId: string): Promise<readonly Position[]> => {
  const coordinator = await cluster.coordinator(groupId)
  const answer = await coordinator.request(offsetFetch, version =>
    version >= 8 ? { groups: [{ groupId, topics: null }] } : { groupId, topics: null },
  )
  const grouped = answer.groups[0]
  checkCode(grouped?.errorCode ?? answer.errorCode, `offsets of group ${groupId}`)
  const known = new Map((await cluster.describe(null)).map(({ id, name }) => [id, name]))
  const named = grouped?.topics.map(({ name, topicId, partitions }) => ({
    name: name || (known.get(topicId) ?? ''),
    partitions,
  }))
  return (named ?? answer.topics).flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, committedOffset }) => ({
      topic: name,
      partition: partitionIndex,
      offset: committedOffset,
    })),
  )
}

/** Longest initial rebalance delay that is waited out, and how often it looks. */
const emptyWithinMs = 10_000
const lookEveryMs = 200

/**
 * Waits while the group is between states without a member: one that all members left within the initial rebalance delay is
 * PreparingRebalance until that has passed, here and in Kafka. Throws `KafkaError` when it has members.
 */
const untilEmpty = async (cluster: Cluster, groupId: string): Promise<void> => {
  const deadlineMs = cluster.clock.monotonicMs() + emptyWithinMs
  for (;;) {
    const { state, members } = await describeOrDead(cluster, groupId)
    const count = members.length === 1 ? '1 member' : `${members.length} members`
    if (members.length > 0)
      throw new KafkaError(
        errorCodes.NON_EMPTY_GROUP,
        `group ${groupId}`,
        `it has ${count}: stop them first; one that died stays until its session has timed out`,
      )
    if (state === 'Empty' || state === 'Dead') return
    if (cluster.clock.monotonicMs() >= deadlineMs)
      throw new KafkaError(errorCodes.NON_EMPTY_GROUP, `group ${groupId}`, `it is ${state}: try again`)
    await sleep(cluster.clock, lookEveryMs)
  }
}

const describeOrDead = async (cluster: Cluster, groupId: string): Promise<Pick<GroupDetails, 'state' | 'members'>> => {
  try {
    return await describeGroup(cluster, groupId)
  } catch (error) {
    if (error instanceof KafkaError && error.code === errorCodes.GROUP_ID_NOT_FOUND)
      return { state: 'Dead', members: [] }
    throw error
  }
}

/** Commits from outside the group, legal while it has no members. Throws `KafkaError` when it has some. */
export const resetOffsets = (cluster: Cluster, groupId: string, positions: readonly Position[]): Promise<void> =>
  retrying(cluster.clock, coordinatorMs, isLoading, async () => {
    await untilEmpty(cluster, groupId)
    await commitOffsets(cluster, groupId, positions)
  })

const commitOffsets = async (cluster: Cluster, groupId: string, positions: readonly Position[]): Promise<void> => {
  const coordinator = await cluster.coordinator(groupId)
  const known = new Map((await cluster.describe(null)).map(({ id, name }) => [name, id]))
  const names = [...new Set(positions.map(({ topic }) => topic))]
  const answer = await coordinator.request(offsetCommit, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: names.flatMap(name => {
      const topicId = known.get(name)
      const partitions = positions
        .filter(({ topic }) => topic === name)
        .map(({ partition, offset }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedMetadata: null,
        }))
      return topicId === undefined ? [] : [{ name, topicId, partitions }]
    }),
  })
  for (const { errorCode } of answer.topics.flatMap(({ partitions }) => partitions)) {
    checkCode(errorCode, `reset of group ${groupId} (it must have no members)`)
  }
}

/** Deletes the group with its offsets. Throws `KafkaError` when it has members or is not there. */
export const deleteGroup = async (cluster: Cluster, groupId: string): Promise<void> => {
  await untilEmpty(cluster, groupId)
  const coordinator = await cluster.coordinator(groupId)
  const answer = await coordinator.request(deleteGroups, { groupsNames: [groupId] })
  for (const { errorCode } of answer.results) checkCode(errorCode, `delete group ${groupId}`, deleteFaults[errorCode])
}
