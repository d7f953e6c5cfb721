import { BrokerError, type ErrorKind } from '../../core/errors.ts'
import { offsetBytes, type TopicOffsets } from '../../state/group-offsets.ts'
import type { StateChange } from '../../state/view.ts'
import type { Group } from './group.ts'
import { unknownMember } from './group.ts'
import type {
  CommitRequest,
  FetchedOffset,
  OffsetCommit,
  OffsetDeleteRequest,
  OffsetFetchRequest,
  OffsetFetchResult,
} from './groups.ts'
import type { GroupContext, GroupRegistry } from './registry.ts'
import { consumerProtocolType, subscribedTopics } from './subscription.ts'

/** OffsetCommit, OffsetFetch and OffsetDelete. */
export class CommittedOffsets {
  readonly #context: GroupContext
  readonly #registry: GroupRegistry
  readonly #touch: (group: Group, memberId: string) => void

  /** `touch` is called for a commit by a member: it is a sign of life. */
  constructor(context: GroupContext, registry: GroupRegistry, touch: (group: Group, memberId: string) => void) {
    this.#context = context
    this.#registry = registry
    this.#touch = touch
  }

  async commit(request: CommitRequest): Promise<readonly (ErrorKind | undefined)[]> {
    const { metrics, settings, store } = this.#context
    const group = this.#groupOf(request)
    checkCommit(group, request)
    if (group.state !== 'Empty') this.#touch(group, request.memberId)
    const errors = request.offsets.map(({ metadata }): ErrorKind | undefined =>
      metadataBytes(metadata) > settings.offsetMetadataMaxBytes ? 'offsetMetadataTooLarge' : undefined,
    )
    const accepted = request.offsets.filter((_, i) => errors[i] === undefined)
    try {
      this.#checkRoom(group, accepted)
      await store.write(this.#commitChanges(group, accepted))
    } finally {
      // a group that was made for this commit
      this.#registry.dropIfUnused(group)
    }
    metrics.add('groupsCommits', accepted.length)
    return errors
  }

  async fetch(requests: readonly OffsetFetchRequest[]): Promise<readonly OffsetFetchResult[]> {
    const results = requests.map(request => this.#fetchGroup(request))
    await this.#context.store.durable()
    return results
  }

  async delete({ groupId, offsets }: OffsetDeleteRequest): Promise<readonly (ErrorKind | undefined)[]> {
    const { view } = this.#context.store
    const group = this.#registry.get(groupId)
    if (group === undefined) throw groupNotFound(groupId)
    const isConsumer = group.protocolType === consumerProtocolType
    if (group.state !== 'Empty' && !isConsumer) {
      throw new BrokerError('groupNotEmpty', `group ${groupId} has members`)
    }
    const subscribed = isConsumer ? subscribedTopics(group) : new Set<string>()
    const errors = offsets.map(({ topic }): ErrorKind | undefined =>
      // when the subscription is not known, every topic may be in it
      subscribed === undefined || subscribed.has(topic) ? 'groupSubscribedToTopic' : undefined,
    )
    const gone = offsets.filter(
      ({ topic, partition }, i) => errors[i] === undefined && view.offsets.get(groupId, topic, partition) !== undefined,
    )
    await this.#context.store.writeMany(
      gone.map(({ topic, partition }) => view.removeOffset(groupId, topic, partition)),
    )
    return errors
  }

  /** Everything that the group has committed, durable or not yet. */
  *all(groupId: string): Iterable<FetchedOffset> {
    for (const [topic, offsets] of this.#context.store.view.offsets.topics(groupId) ?? []) {
      for (const partition of offsets.keys()) yield fetched(topic, partition, offsets)
    }
  }

  /** Removal of all that was committed for the topics. */
  changesForDeletedTopics(topics: readonly string[]): StateChange[] {
    const { view } = this.#context.store
    const changes: StateChange[] = []
    for (const groupId of view.offsets.groups()) {
      for (const topic of topics) {
        for (const partition of view.offsets.topics(groupId)?.get(topic)?.keys() ?? []) {
          changes.push(view.removeOffset(groupId, topic, partition))
        }
      }
    }
    return changes
  }

  /** A commit from outside any generation makes the group. */
  #groupOf({ groupId, generation }: CommitRequest): Group {
    const group = this.#registry.get(groupId)
    if (group !== undefined) return group
    if (generation >= 0) throw groupNotFound(groupId)
    return this.#registry.getOrCreate(groupId)
  }

  #commitChanges(group: Group, accepted: readonly OffsetCommit[]): StateChange[] {
    const { view, logAge } = this.#context.store
    return accepted.map(({ topic, partition, offset, leaderEpoch, metadata }) =>
      view.putOffset(group.groupId, topic, partition, { offset, leaderEpoch, metadata, logAge }),
    )
  }

  /** Replacing an offset always works; new ones only below the limit. */
  #checkRoom({ groupId }: Group, accepted: readonly OffsetCommit[]): void {
    const { metrics, settings, store } = this.#context
    const { offsets } = store.view
    let moreBytes = 0
    for (const { topic, partition, metadata } of accepted) {
      const before = offsets.get(groupId, topic, partition)
      moreBytes += offsetBytes(groupId, topic, metadata)
      if (before !== undefined) moreBytes -= offsetBytes(groupId, topic, before.metadata)
    }
    if (moreBytes <= 0 || offsets.bytes + moreBytes <= settings.maxOffsetsBytes) return
    metrics.add('groupsRefused', 1, 'offsets')
    throw new BrokerError(
      'policyViolation',
      `committed offsets fill ${settings.maxOffsetsBytes} bytes; delete unused groups`,
    )
  }

  #fetchGroup({ groupId, topics }: OffsetFetchRequest): OffsetFetchResult {
    if (topics === null) return { groupId, offsets: [...this.all(groupId)] }
    const stored = this.#context.store.view.offsets.topics(groupId)
    const offsets = topics.flatMap(({ topic, partitions }) => {
      const ofTopic = stored?.get(topic)
      return partitions.map(partition => fetched(topic, partition, ofTopic))
    })
    return { groupId, offsets }
  }
}

/** Who may commit, as Kafka has it for classic groups. */
function checkCommit(group: Group, { memberId, groupInstanceId, generation }: CommitRequest): void {
  if (generation < 0 && group.state === 'Empty') return
  const isMember = generation >= 0 || memberId !== '' || groupInstanceId !== null
  if (!isMember) throw unknownMember(group.groupId, memberId)
  group.member(memberId, groupInstanceId)
  group.checkGeneration(generation)
  if (group.state === 'CompletingRebalance') {
    throw new BrokerError('rebalanceInProgress', `group ${group.groupId} rebalances: sync before the next commit`)
  }
}

function fetched(topic: string, partition: number, offsets: TopicOffsets | undefined): FetchedOffset {
  const committed = offsets?.get(partition)
  if (committed === undefined) return { topic, partition, offset: -1, leaderEpoch: -1, metadata: '' }
  const { offset, leaderEpoch, metadata } = committed
  return { topic, partition, offset, leaderEpoch, metadata }
}

const metadataBytes = (metadata: string | null): number => (metadata === null ? 0 : Buffer.byteLength(metadata))

const groupNotFound = (groupId: string) => new BrokerError('groupNotFound', `there is no group ${groupId}`)
