import { MalformedFrame } from '../core/malformed-frame.ts'
import { sleep } from '../platform/clock.ts'
import type { AnyApi, ResponseOf } from '../wire/kafka/api.ts'
import { heartbeat } from '../wire/kafka/contracts/heartbeat.ts'
import { joinGroup } from '../wire/kafka/contracts/join-group.ts'
import { leaveGroup } from '../wire/kafka/contracts/leave-group.ts'
import { offsetCommit } from '../wire/kafka/contracts/offset-commit.ts'
import { offsetFetch } from '../wire/kafka/contracts/offset-fetch.ts'
import { syncGroup } from '../wire/kafka/contracts/sync-group.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import type { RequestBody } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import {
  type Assignment,
  assignRanges,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './group-protocol.ts'
import { checkCode, isClientError, KafkaError } from './kafka-error.ts'
import type { TopicPartition } from './partition-offsets.ts'

export interface GroupOptions {
  readonly groupId: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** How often the leader of the group looks for partitions that were added; default 30 s. */
  readonly metadataEveryMs?: number
}

/** The next offset to read of a partition. */
export interface Position extends TopicPartition {
  readonly offset: number
}

const protocolType = 'consumer'
const rejoinDelayMs = 100
const defaultMetadataEveryMs = 30_000
/** The group goes on in a new generation, or without us: a member joins again. */
const moved: readonly number[] = [
  errorCodes.REBALANCE_IN_PROGRESS,
  errorCodes.ILLEGAL_GENERATION,
  errorCodes.UNKNOWN_MEMBER_ID,
]

/** One member of a classic consumer group: joins, learns its partitions, heartbeats, commits. The caller reads and asks `poll` often. */
export class GroupMember {
  readonly #cluster: Cluster
  readonly #options: GroupOptions
  #memberId = ''
  #generation = -1
  #lastHeartbeatMs = 0
  #mustJoin = true
  #assignment: Assignment = new Map()
  /** What the leader of the group has shared out: partitions by topic. Undefined in a follower. */
  #shared: ReadonlyMap<string, number> | undefined
  #lastMetadataMs = 0

  constructor(cluster: Cluster, options: GroupOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  get assignment(): Assignment {
    return this.#assignment
  }

  /**
   * Joins when that is due and heartbeats. True: the assignment is new, start from the committed offsets. Throws `KafkaError` and
   * `ConnectionLost`; calling again goes on where it stood.
   */
  async poll(): Promise<boolean> {
    if (!this.#mustJoin) await this.#heartbeat()
    if (!this.#mustJoin) await this.#lookForPartitions()
    if (!this.#mustJoin) return false
    while (this.#mustJoin) await this.#join()
    return true
  }

  /**
   * Commits the next offset to read of each partition. False: the group has moved on, nothing may be committed any more and `poll` joins
   * again. Throws `KafkaError`, `ConnectionLost`.
   */
  async commit(positions: readonly Position[]): Promise<boolean> {
    const topics = await Promise.all(
      [...new Set(positions.map(({ topic }) => topic))].map(async name => ({
        name,
        topicId: (await this.#cluster.topic(name)).id,
        partitions: positions
          .filter(({ topic }) => topic === name)
          .map(({ partition, offset }) => ({
            partitionIndex: partition,
            committedOffset: offset,
            committedMetadata: null,
          })),
      })),
    )
    const { groupId } = this.#options
    const answer = await this.#request(offsetCommit, {
      groupId,
      generationIdOrMemberEpoch: this.#generation,
      memberId: this.#memberId,
      topics,
    })
    for (const { errorCode } of answer.topics.flatMap(({ partitions }) => partitions)) {
      if (errorCode === errorCodes.NONE) continue
      this.#failed(errorCode, `commit of group ${groupId}`)
      return false
    }
    return true
  }

  /** Committed offsets of the assignment; -1 where there is none. */
  async committed(): Promise<readonly Position[]> {
    const topics = await Promise.all(
      [...this.#assignment].map(async ([name, partitionIndexes]) => {
        const { id } = await this.#cluster.topic(name)
        return { name, topicId: id, partitionIndexes: [...partitionIndexes] }
      }),
    )
    const { groupId } = this.#options
    const answer = await this.#request(offsetFetch, version =>
      version >= 8 ? { groups: [{ groupId, topics }] } : { groupId, topics },
    )
    const grouped = answer.groups[0]
    const found = (grouped?.topics ?? answer.topics).flatMap(({ partitions }) => partitions)
    for (const { errorCode } of [grouped ?? answer, ...found]) {
      if (errorCode !== errorCodes.NONE) this.#forgetTopics()
      checkCode(errorCode, `offsets of group ${groupId}`)
    }
    const named = grouped?.topics.map(({ name, topicId, partitions }) => ({
      name: name || (topics.find(asked => asked.topicId === topicId)?.name ?? ''),
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

  /**
   * Tells the group that this member goes, so that the others need not wait for its session to end. Also while a join is under way. When
   * the group cannot be told, the session ends by itself.
   */
  async leave(): Promise<void> {
    const memberId = this.#memberId
    if (memberId === '') return
    this.#memberId = ''
    this.#mustJoin = true
    const { groupId } = this.#options
    try {
      const coordinator = await this.#cluster.coordinator(groupId, { urgent: true })
      await coordinator.request(leaveGroup, version =>
        version >= 3 ? { groupId, members: [{ memberId }] } : { groupId, memberId },
      )
    } catch (error) {
      if (!isClientError(error)) throw error
    }
  }

  /** Whatever fails, the coordinator may be another one by now. */
  async #request<A extends AnyApi>(api: A, body: RequestBody<A>, extraMs = 0): Promise<ResponseOf<A>> {
    const { groupId } = this.#options
    try {
      const coordinator = await this.#cluster.coordinator(groupId)
      return await coordinator.request(api, body, extraMs)
    } catch (error) {
      this.#cluster.forgetCoordinator(groupId)
      throw error
    }
  }

  async #heartbeat(): Promise<void> {
    const now = this.#cluster.clock.monotonicMs()
    if (now - this.#lastHeartbeatMs < this.#options.sessionTimeoutMs / 10) return
    const { groupId } = this.#options
    const { errorCode } = await this.#request(heartbeat, {
      groupId,
      generationId: this.#generation,
      memberId: this.#memberId,
    })
    this.#lastHeartbeatMs = now
    if (errorCode !== errorCodes.NONE) this.#failed(errorCode, `heartbeat of group ${groupId}`)
  }

  /** The leader joins again when there are other partitions than those that it has shared out. */
  async #lookForPartitions(): Promise<void> {
    const { clock } = this.#cluster
    const everyMs = this.#options.metadataEveryMs ?? defaultMetadataEveryMs
    if (this.#shared === undefined || clock.monotonicMs() - this.#lastMetadataMs < everyMs) return
    this.#lastMetadataMs = clock.monotonicMs()
    const counts = await this.#partitionCounts([...this.#shared.keys()])
    this.#mustJoin = [...this.#shared].some(([name, count]) => (counts.get(name) ?? 0) !== count)
  }

  async #partitionCounts(names: readonly string[]): Promise<Map<string, number>> {
    const described = await this.#cluster.describe(names)
    return new Map(described.map(({ name, partitions }) => [name, partitions.length]))
  }

  async #join(): Promise<void> {
    const { groupId, topics, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const answer = await this.#request(
      joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        protocolType,
        protocols: [{ name: 'range', metadata: encodeSubscription(topics) }],
      },
      rebalanceTimeoutMs,
    )
    if (answer.errorCode === errorCodes.MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId
      return
    }
    if (answer.errorCode !== errorCodes.NONE) return this.#again(answer.errorCode, `join of group ${groupId}`)
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    const isLeader = answer.leader === answer.memberId
    this.#shared = undefined
    await this.#sync(isLeader ? await this.#assign(answer.members) : [])
  }

  async #assign(
    members: readonly { memberId: string; metadata: Buffer }[],
  ): Promise<{ memberId: string; assignment: Buffer }[]> {
    const subscriptions = new Map(members.map(({ memberId, metadata }) => [memberId, subscriptionOf(metadata)]))
    const names = new Set([...subscriptions.values()].flat())
    const counts = await this.#partitionCounts([...names])
    this.#shared = new Map([...names].map(name => [name, counts.get(name) ?? 0]))
    this.#lastMetadataMs = this.#cluster.clock.monotonicMs()
    return [...assignRanges(subscriptions, counts)].map(([memberId, ranges]) => ({
      memberId,
      assignment: encodeAssignment(ranges),
    }))
  }

  async #sync(assignments: { memberId: string; assignment: Buffer }[]): Promise<void> {
    const { groupId, rebalanceTimeoutMs } = this.#options
    const answer = await this.#request(
      syncGroup,
      {
        groupId,
        generationId: this.#generation,
        memberId: this.#memberId,
        protocolType,
        protocolName: 'range',
        assignments,
      },
      rebalanceTimeoutMs,
    )
    if (answer.errorCode !== errorCodes.NONE) return this.#again(answer.errorCode, `sync of group ${groupId}`)
    this.#assignment = assignmentOf(answer.assignment, groupId)
    this.#lastHeartbeatMs = this.#cluster.clock.monotonicMs()
    this.#mustJoin = false
  }

  /** Joins again where that helps. Anything else is the caller's to see. */
  #failed(errorCode: number, about: string): void {
    this.#cluster.forgetCoordinator(this.#options.groupId)
    this.#forgetTopics()
    const error = new KafkaError(errorCode, about)
    if (!moved.includes(errorCode) && !error.retriable) throw error
    if (errorCode === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = ''
    this.#mustJoin = true
  }

  #forgetTopics(): void {
    for (const topic of this.#options.topics) this.#cluster.forget(topic)
  }

  async #again(errorCode: number, about: string): Promise<void> {
    this.#failed(errorCode, about)
    await sleep(this.#cluster.clock, rejoinDelayMs)
  }
}

/** Another client leads the group and speaks another language. */
const assignmentOf = (bytes: Buffer, groupId: string): Assignment => {
  try {
    return decodeAssignment(bytes)
  } catch (error) {
    if (!(error instanceof MalformedFrame)) throw error
    const detail = `its leader sent an assignment that cannot be read: ${error.message}`
    throw new KafkaError(errorCodes.INCONSISTENT_GROUP_PROTOCOL, `group ${groupId}`, detail)
  }
}

/** A member whose subscription says nothing to us gets no partitions. */
const subscriptionOf = (metadata: Buffer): readonly string[] => {
  try {
    return decodeSubscription(metadata)
  } catch (error) {
    if (error instanceof MalformedFrame) return []
    throw error
  }
}
