import { BrokerError } from '../../core/errors.ts'
import { Deadline } from './deadline.ts'
import type { Group } from './group.ts'
import { unknownMember } from './group.ts'
import { type Member, noBytes } from './member.ts'
import type { GroupContext, GroupRegistry } from './registry.ts'
import { asBrokerError } from './store.ts'

/**
 * Moves a group through its states, as Kafka's classic groups do:
 *
 *     Empty -> PreparingRebalance     the first member joins; the initial delay runs
 *     PreparingRebalance              members join (again); who does not within the rebalance timeout is dropped
 *     -> CompletingRebalance          the joins are answered with the next generation; the leader assigns
 *     -> Stable                       the leader's assignment is durable; the syncs are answered (`sync.ts`)
 *     -> PreparingRebalance           a member came, left, went silent or changed its metadata
 */
export class Rebalance {
  readonly context: GroupContext
  readonly registry: GroupRegistry

  constructor(context: GroupContext, registry: GroupRegistry) {
    this.context = context
    this.registry = registry
  }

  /** The session of a member, or of an id that was given out. It runs once it is set. */
  sessionOf(group: Group, memberId: string): Deadline {
    return new Deadline(this.context.clock, () => this.#sessionPassed(group, memberId))
  }

  /** A sign of life. */
  touch(member: Member): void {
    member.session.set(member.sessionTimeoutMs)
  }

  /** Starts a rebalance, or goes on with the one that runs if this was the last member to wait for. */
  prepareOrComplete(group: Group, reason: string): void {
    if (group.state === 'PreparingRebalance') this.completeIfAllJoined(group)
    else this.prepare(group, reason)
  }

  /** Nothing happens during the initial delay, which only its timer ends. */
  completeIfAllJoined(group: Group): void {
    if (group.state !== 'PreparingRebalance' || group.isInitialRebalance) return
    if (group.hasAllMembersJoined) this.#completeJoin(group)
  }

  prepare(group: Group, reason: string): void {
    const { logger, store } = this.context
    if (group.state === 'CompletingRebalance') {
      this.resetAssignments(
        group,
        new BrokerError('rebalanceInProgress', `group ${group.groupId} rebalances: join again`),
      )
    }
    this.#endSyncWait(group)
    const initial = group.state === 'Empty'
    group.transitionTo('PreparingRebalance', store.logAge)
    logger.info({ group: group.groupId, generation: group.generation, reason }, 'group prepares a rebalance')
    if (initial) this.#startInitialDelay(group)
    else if (group.hasAllMembersJoined) this.#completeJoin(group)
    else this.#startJoinTimer(group)
  }

  /** Takes back all assignments and answers the syncs that wait for them. */
  resetAssignments(group: Group, error: BrokerError): void {
    for (const member of group.members.values()) {
      group.assign(member, noBytes)
      if (!member.isAwaitingSync) continue
      member.failSync(error)
      this.touch(member)
    }
  }

  /** Answers what the member has parked with `error` and removes it. The group does not move by this alone. */
  evict(group: Group, member: Member, error: BrokerError): void {
    member.failJoin(error)
    member.failSync(error)
    group.remove(member)
  }

  /** To be called after members or pending members were removed. */
  afterRemoval(group: Group, reason: string): void {
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') this.prepare(group, reason)
    else if (group.state === 'PreparingRebalance' && group.hasAllMembersJoined) this.#completeJoin(group)
    else this.registry.dropIfUnused(group)
  }

  #startInitialDelay(group: Group): void {
    const { initialRebalanceDelayMs } = this.context.settings
    const remainingMs = Math.max(group.rebalanceTimeoutMs - initialRebalanceDelayMs, 0)
    group.newMemberAdded = false
    this.#waitInitialDelay(group, initialRebalanceDelayMs, remainingMs)
  }

  /** Each round in which a member came is followed by another one, up to the rebalance timeout in all. */
  #waitInitialDelay(group: Group, delayMs: number, remainingMs: number): void {
    group.joinTimer?.cancel()
    group.joinTimer = this.context.clock.after(delayMs, () => {
      if (!group.newMemberAdded || remainingMs === 0) {
        this.#completeJoin(group)
        return
      }
      group.newMemberAdded = false
      const nextDelayMs = Math.min(this.context.settings.initialRebalanceDelayMs, remainingMs)
      this.#waitInitialDelay(group, nextDelayMs, Math.max(remainingMs - delayMs, 0))
    })
  }

  #startJoinTimer(group: Group): void {
    group.joinTimer?.cancel()
    group.joinTimer = this.context.clock.after(group.rebalanceTimeoutMs, () => this.#completeJoin(group))
  }

  /** The join phase is over: all came, or the time is up. */
  #completeJoin(group: Group): void {
    group.joinTimer?.cancel()
    group.joinTimer = undefined
    this.#dropAbsentMembers(group)
    if (!group.electLeader() && group.members.size > 0) {
      // static members only, none of which joined again: they have until the end of their sessions
      this.#startJoinTimer(group)
      return
    }
    group.generation++
    group.pendingSync.clear()
    if (group.members.size === 0) this.#becomeEmpty(group)
    else this.#startGeneration(group)
  }

  /** Dynamic members that did not join again in time. */
  #dropAbsentMembers(group: Group): void {
    for (const member of [...group.members.values()]) {
      if (member.isAwaitingJoin || member.isStatic) continue
      this.evict(group, member, unknownMember(group.groupId, member.memberId))
      this.context.metrics.add('groupsExpiredMembers', 1, 'rebalance')
    }
  }

  #becomeEmpty(group: Group): void {
    const { logger, store } = this.context
    group.protocolName = null
    group.transitionTo('Empty', store.logAge)
    logger.info({ group: group.groupId, generation: group.generation }, 'group is empty')
    store.saveGroup(group).catch((error: unknown) => {
      // after a restart the last generation would be back, and its members expire again
      logger.warn({ group: group.groupId, reason: asBrokerError(error).message }, 'empty group could not be stored')
    })
  }

  #startGeneration(group: Group): void {
    const { clock, logger, store } = this.context
    group.protocolName = group.selectProtocol()
    group.transitionTo('CompletingRebalance', store.logAge)
    const { generation } = group
    logger.info({ group: group.groupId, generation, members: group.members.size }, 'group has a new generation')
    for (const member of group.members.values()) {
      member.answerJoin(group.joinResult(member.memberId))
      member.isNew = false
      this.touch(member)
      group.pendingSync.add(member.memberId)
    }
    group.syncTimer = clock.after(group.rebalanceTimeoutMs, () => this.#syncWaitPassed(group))
  }

  #endSyncWait(group: Group): void {
    group.syncTimer?.cancel()
    group.syncTimer = undefined
    group.pendingSync.clear()
  }

  /** Members that took the generation but never asked for their assignment are gone. */
  #syncWaitPassed(group: Group): void {
    group.syncTimer = undefined
    if (group.pendingSync.size === 0) return
    for (const memberId of [...group.pendingSync]) {
      this.evict(group, group.member(memberId, null), unknownMember(group.groupId, memberId))
      this.context.metrics.add('groupsExpiredMembers', 1, 'sync')
    }
    this.prepare(group, 'members did not sync in time')
  }

  #sessionPassed(group: Group, memberId: string): void {
    if (group.removePending(memberId)) {
      this.context.metrics.add('groupsExpiredMembers', 1, 'pending')
      this.afterRemoval(group, 'a pending member did not join')
      return
    }
    const member = group.members.get(memberId)
    if (member === undefined || member.isExcusedFromHeartbeat) return
    this.context.logger.info({ group: group.groupId, member: memberId }, 'member went silent and is removed')
    this.context.metrics.add('groupsExpiredMembers', 1, 'session')
    this.evict(group, member, unknownMember(group.groupId, memberId))
    this.afterRemoval(group, `member ${memberId} went silent`)
  }
}
