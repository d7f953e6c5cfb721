import { BrokerError } from '../../core/errors.ts'
import type { Group } from './group.ts'
import type { SyncRequest, SyncResult } from './groups.ts'
import { type Member, noBytes, type Parked } from './member.ts'
import type { Rebalance } from './rebalance.ts'
import { asBrokerError } from './store.ts'

/** SyncGroup: answers `parked` now or when the leader's assignment is durable, or throws what it is refused with. */
export function sync(group: Group, request: SyncRequest, parked: Parked<SyncResult>, rebalance: Rebalance): void {
  const member = group.member(request.memberId, request.groupInstanceId)
  group.checkGeneration(request.generation)
  checkProtocol(group, request)
  if (group.state === 'PreparingRebalance') {
    throw new BrokerError('rebalanceInProgress', `group ${group.groupId} rebalances: join again`)
  }
  if (group.state === 'Stable') {
    group.pendingSync.delete(member.memberId)
    parked.resolve(syncResult(group, member))
    return
  }
  const assignments = group.leader === member.memberId ? takeAssignments(group, request, rebalance) : undefined
  group.pendingSync.delete(member.memberId)
  member.parkSync(parked)
  if (assignments !== undefined) storeAssignments(group, assignments, rebalance)
}

function checkProtocol(group: Group, { protocolType, protocolName }: SyncRequest): void {
  const typeFits = protocolType === null || group.protocolType === null || protocolType === group.protocolType
  const nameFits = protocolName === null || group.protocolName === null || protocolName === group.protocolName
  if (typeFits && nameFits) return
  throw new BrokerError(
    'inconsistentGroupProtocol',
    `group ${group.groupId} uses ${group.protocolType} ${group.protocolName}, not ${protocolType} ${protocolName}`,
  )
}

/** One for each member, empty where the leader gave none. The bytes are opaque and are passed on as they are. */
function takeAssignments(group: Group, request: SyncRequest, { context, registry }: Rebalance): Map<string, Buffer> {
  const assignments = new Map<string, Buffer>()
  for (const memberId of group.members.keys()) assignments.set(memberId, noBytes)
  for (const { memberId, assignment } of request.assignments) {
    // a copy: the bytes are a piece of the request's frame
    if (assignments.has(memberId)) assignments.set(memberId, Buffer.from(assignment))
  }
  let moreBytes = 0
  for (const [memberId, assignment] of assignments) {
    moreBytes += assignment.length - (group.members.get(memberId)?.assignment.length ?? 0)
  }
  if (registry.usage.metadataBytes + moreBytes > context.settings.maxMetadataBytes) {
    throw registry.refusal(
      'metadata',
      `the assignments of all members exceed ${context.settings.maxMetadataBytes} bytes`,
    )
  }
  return assignments
}

function storeAssignments(group: Group, assignments: ReadonlyMap<string, Buffer>, rebalance: Rebalance): void {
  const { generation } = group
  const { store, metrics, logger } = rebalance.context
  // a member may have come or gone while this was written
  const isCurrent = () => group.state === 'CompletingRebalance' && group.generation === generation
  store.saveGroup(group, assignments).then(
    () => {
      if (!isCurrent()) return
      group.transitionTo('Stable', store.logAge)
      metrics.add('groupsRebalances')
      for (const member of group.members.values()) {
        group.assign(member, assignments.get(member.memberId) ?? noBytes)
        if (!member.isAwaitingSync) continue
        member.answerSync(syncResult(group, member))
        rebalance.touch(member)
      }
    },
    (failure: unknown) => {
      const error = asBrokerError(failure)
      logger.warn({ group: group.groupId, generation, reason: error.message }, 'assignment could not be stored')
      if (!isCurrent()) return
      rebalance.resetAssignments(group, error)
      rebalance.prepareOrComplete(group, 'the assignment could not be stored')
    },
  )
}

const syncResult = (group: Group, member: Member): SyncResult => ({
  protocolType: group.protocolType,
  protocolName: group.protocolName,
  assignment: member.assignment,
})
