import type { CommittedOffset } from '../../state/group-offsets.ts'
import type { StateChange } from '../../state/view.ts'
import type { Group } from './group.ts'
import type { GroupContext, GroupRegistry } from './registry.ts'
import { asBrokerError } from './store.ts'
import { subscribedTopics } from './subscription.ts'

/** All records of the group, offsets first: what is removed in several groups of the log ends with the metadata. */
function removalOf({ groupId }: Group, { store: { view } }: GroupContext): StateChange[] {
  const changes: StateChange[] = []
  for (const [topic, offsets] of view.offsets.topics(groupId) ?? []) {
    for (const partition of offsets.keys()) changes.push(view.removeOffset(groupId, topic, partition))
  }
  if (view.hasMetadata(groupId)) changes.push(view.removeMetadata(groupId))
  return changes
}

/** Removes the group and everything it has stored; resolves when that is durable. */
export async function removeGroup(group: Group, context: GroupContext, registry: GroupRegistry): Promise<void> {
  const { view } = context.store
  const written = context.store.writeMany(removalOf(group, context))
  // a write that failed at once has left something behind: then the group stays
  const isGone = !view.hasMetadata(group.groupId) && view.offsets.topics(group.groupId) === undefined
  if (isGone) registry.remove(group)
  await written
}

/** Drops offsets that nobody used for `offsets.retention.minutes`, and groups that have nothing left. */
export function expireGroups(context: GroupContext, registry: GroupRegistry): void {
  for (const group of [...registry.all()]) {
    const expired = expiredOffsets(group, context)
    context.metrics.add('groupsExpiredOffsets', expired.length)
    const stored = context.store.view.offsets.topics(group.groupId)
    let storedCount = 0
    for (const offsets of stored?.values() ?? []) storedCount += offsets.size
    const isUnused = group.state === 'Empty' && group.pendingJoin.size === 0 && expired.length === storedCount
    const done = isUnused ? removeGroup(group, context, registry) : context.store.writeMany(expired)
    done.catch((error: unknown) => {
      // the next round tries again
      const { message } = asBrokerError(error)
      context.logger.warn({ group: group.groupId, reason: message }, 'expired offsets could not be removed')
    })
  }
}

function expiredOffsets(group: Group, { settings, store, kept }: GroupContext): StateChange[] {
  const usedAt = usageClock(group)
  const stored = store.view.offsets.topics(group.groupId)
  if (usedAt === undefined || stored === undefined || kept.has(group.groupId)) return []
  const horizon = store.logAge - settings.offsetsRetentionMinutes * 60
  const subscribed = group.state === 'Empty' ? undefined : subscribedTopics(group)
  const changes: StateChange[] = []
  for (const [topic, offsets] of stored) {
    if (subscribed?.has(topic)) continue
    for (const [partition, committed] of offsets) {
      if (usedAt(committed) <= horizon) changes.push(store.view.removeOffset(group.groupId, topic, partition))
    }
  }
  return changes
}

/**
 * The log age from which the retention of an offset counts; undefined while its members keep it. A commit into an empty group counts too
 * (Kafka looks at the time the group became empty only, and would drop at once what an operator has just reset).
 */
function usageClock(group: Group): ((committed: CommittedOffset) => number) | undefined {
  const sinceCommit = ({ logAge }: CommittedOffset) => logAge
  if (group.protocolType === null) return sinceCommit
  if (group.state === 'Empty') return ({ logAge }) => Math.max(logAge, group.since)
  // members that are known not to want the topic any more
  return group.state === 'Stable' && subscribedTopics(group) !== undefined ? sinceCommit : undefined
}
