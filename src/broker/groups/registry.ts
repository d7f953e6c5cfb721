import { BrokerError } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Random } from '../../platform/random.ts'
import { Group, type GroupUsage } from './group.ts'
import { type GroupSettings, maxIdLength } from './settings.ts'
import type { GroupStore } from './store.ts'

/** What everything in this folder works with. */
export interface GroupContext {
  readonly clock: Clock
  readonly random: Random
  readonly settings: GroupSettings
  readonly metrics: Metrics
  readonly logger: Logger
  readonly store: GroupStore
  /** Groups whose offsets do not expire. */
  readonly kept: Set<string>
}

/** The groups that exist, by id, and what they hold of the limits. */
export class GroupRegistry {
  readonly usage: GroupUsage = { members: 0, metadataBytes: 0 }
  readonly #context: GroupContext
  readonly #groups = new Map<string, Group>()

  constructor(context: GroupContext) {
    this.#context = context
  }

  get(groupId: string): Group | undefined {
    return this.#groups.get(groupId)
  }

  all(): Iterable<Group> {
    return this.#groups.values()
  }

  /** Throws `invalidGroupId`, and `groupFull` when there are too many groups. */
  getOrCreate(groupId: string): Group {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    checkIdLength(groupId)
    if (this.#groups.size >= this.#context.settings.maxGroups) {
      throw this.refusal('groups', `there are ${this.#groups.size} groups already; delete unused ones`)
    }
    return this.add(groupId)
  }

  /** At start; no limit applies to what is stored. */
  add(groupId: string): Group {
    const group = new Group(groupId, this.#context.store.logAge, this.usage)
    this.#groups.set(groupId, group)
    return group
  }

  /** Forgets the group; its members are gone and its records are removed. */
  remove(group: Group): void {
    for (const memberId of [...group.pendingJoin.keys()]) group.removePending(memberId)
    group.joinTimer?.cancel()
    group.syncTimer?.cancel()
    group.transitionTo('Dead', this.#context.store.logAge)
    this.#groups.delete(group.groupId)
  }

  /** Forgets a group that holds nothing: no member, no record. */
  dropIfUnused(group: Group): void {
    const { view } = this.#context.store
    if (group.state !== 'Empty' || group.pendingJoin.size > 0 || this.#groups.get(group.groupId) !== group) return
    if (view.hasMetadata(group.groupId) || view.offsets.topics(group.groupId) !== undefined) return
    this.remove(group)
  }

  /** The counted error of a limit. */
  refusal(limit: 'groups' | 'members' | 'metadata', reason: string): BrokerError {
    this.#context.metrics.add('groupsRefused', 1, limit)
    return new BrokerError('groupFull', reason)
  }
}

function checkIdLength(groupId: string): void {
  if (groupId.length > maxIdLength)
    throw new BrokerError('invalidGroupId', `a group id has at most ${maxIdLength} characters`)
}
