import { describe, expect, it } from 'vitest'
import { GroupBench, protocols } from '../../../support/group-bench.ts'
import { settle } from '../../../support/virtual-clock.ts'

describe('heartbeat', () => {
  it('is answered by state and generation', async () => {
    const bench = new GroupBench()
    expect(bench.heartbeat('ghost', 0)).toBe('unknownMember')
    const joins = [bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    // as Kafka: between join and sync a heartbeat is fine
    expect(bench.heartbeat(ids[0]!, 1)).toBe('ok')
    expect(bench.heartbeat(ids[0]!, 2)).toBe('illegalGeneration')
    expect(bench.heartbeat('ghost', 1)).toBe('unknownMember')
    await bench.assign(ids, 1, ids[0]!)
    expect(bench.heartbeat(ids[0]!, 1)).toBe('ok')
    bench.join()
    expect(bench.heartbeat(ids[0]!, 1)).toBe('rebalanceInProgress')
  })

  it('of an empty group id is refused', () => {
    const { groups } = new GroupBench()
    const call = () => groups.heartbeat({ groupId: '', memberId: 'm', generation: 1, groupInstanceId: null })
    expect(call).toThrow(expect.objectContaining({ kind: 'invalidGroupId' }))
  })

  it('moves the session without setting timers', async () => {
    const bench = new GroupBench()
    const { ids, generation } = await bench.stable(1)
    const timers = bench.clock.pendingTimers
    for (let i = 0; i < 100; i++) bench.heartbeat(ids[0]!, generation)
    expect(bench.clock.pendingTimers).toBe(timers)
    for (let i = 0; i < 20; i++) {
      await bench.clock.advance(9000)
      expect(bench.heartbeat(ids[0]!, generation)).toBe('ok')
    }
    await bench.clock.advance(9999)
    expect(await bench.state()).toBe('Stable')
    await bench.clock.advance(1)
    expect(await bench.state()).toBe('Empty')
    expect(bench.metrics.count('groupsExpiredMembers', 'session')).toBe(1)
  })
})

describe('a member that goes silent', () => {
  it('is removed and the others rebalance', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(3)
    await bench.clock.advance(6000)
    bench.heartbeat(ids[1]!, 1)
    bench.heartbeat(ids[2]!, 1)
    await bench.clock.advance(5000)
    expect(bench.heartbeat(ids[0]!, 1)).toBe('unknownMember')
    expect(bench.heartbeat(ids[1]!, 1)).toBe('rebalanceInProgress')
    const joins = [ids[1]!, ids[2]!].map(memberId => bench.join({ memberId }))
    await settle()
    expect(joins[0]!.value).toMatchObject({ generation: 2, leader: ids[1] })
    expect(joins[0]!.value!.members).toHaveLength(2)
  })

  it('during a rebalance is dropped after the rebalance timeout, with a heartbeat or not', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    const joined = bench.join({ memberId: ids[0]! })
    for (let i = 0; i < 29; i++) {
      await bench.clock.advance(1000)
      expect(bench.heartbeat(ids[1]!, 1)).toBe('rebalanceInProgress')
    }
    expect(joined.isPending).toBe(true)
    await bench.clock.advance(1000)
    expect(joined.value).toMatchObject({ generation: 2, leader: ids[0] })
    expect(bench.heartbeat(ids[1]!, 1)).toBe('unknownMember')
    expect(bench.metrics.count('groupsExpiredMembers', 'rebalance')).toBe(1)
  })

  it('hands over the lead when it was the leader', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(3)
    const joins = [ids[1]!, ids[2]!].map(memberId => bench.join({ memberId, protocols: protocols('range', 'x') }))
    await bench.clock.advance(10_000)
    expect(joins.map(({ value }) => value?.leader)).toEqual([ids[1], ids[1]])
  })

  it('waits with a parked join for as long as it takes', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    const joined = bench.join({ memberId: ids[1]!, protocols: protocols('range', 'x'), rebalanceTimeoutMs: 600_000 })
    for (let i = 0; i < 100; i++) {
      await bench.clock.advance(5000)
      bench.heartbeat(ids[0]!, 1)
    }
    expect(joined.isPending).toBe(true)
  })

  it('as a new member with a parked join is given up after 5 minutes', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(1)
    bench.join({ memberId: ids[0]!, rebalanceTimeoutMs: 3_600_000 })
    await settle()
    await bench.assign(ids, 2, ids[0]!)
    const joined = bench.join()
    for (let i = 0; i < 60; i++) {
      expect(joined.isPending).toBe(true)
      await bench.clock.advance(5000)
      bench.heartbeat(ids[0]!, 2)
    }
    expect(joined.kind).toBe('unknownMember')
  })
})

describe('sync', () => {
  it('gives every member the bytes that the leader assigned, to the others none', async () => {
    const bench = new GroupBench()
    const joins = [bench.join(), bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    const follower = bench.sync(ids[1]!, 1, { protocolType: 'consumer', protocolName: 'range' })
    await settle()
    expect(follower.isPending).toBe(true)
    const assignments = [
      { memberId: ids[0]!, assignment: Buffer.from('zero') },
      { memberId: ids[1]!, assignment: Buffer.from('one') },
      { memberId: 'ghost', assignment: Buffer.from('lost') },
    ]
    const leader = bench.sync(ids[0]!, 1, { assignments })
    await settle()
    expect(follower.value).toEqual({ protocolType: 'consumer', protocolName: 'range', assignment: Buffer.from('one') })
    expect(leader.value!.assignment).toEqual(Buffer.from('zero'))
    const late = bench.sync(ids[2]!, 1)
    await settle()
    expect(late.value!.assignment).toEqual(Buffer.alloc(0))
    expect(bench.metrics.count('groupsRebalances')).toBe(1)
  })

  it('is refused for strangers, old generations, other protocols and while members join', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    const refused = [
      bench.sync('ghost', 1),
      bench.sync(ids[0]!, 0),
      bench.sync(ids[0]!, 1, { protocolType: 'connect' }),
      bench.sync(ids[0]!, 1, { protocolName: 'sticky' }),
      bench.sync(ids[0]!, 1, { groupId: 'other' }),
    ]
    bench.join()
    refused.push(bench.sync(ids[0]!, 1))
    await settle()
    expect(refused.map(({ kind }) => kind)).toEqual([
      'unknownMember',
      'illegalGeneration',
      'inconsistentGroupProtocol',
      'inconsistentGroupProtocol',
      'unknownMember',
      'rebalanceInProgress',
    ])
  })

  it('waits for the device, and a rebalance meanwhile takes it back', async () => {
    const bench = new GroupBench()
    const joins = [bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    bench.log.held = true
    const syncs = await bench.assign(ids, 1, ids[0]!)
    expect(syncs.map(({ isPending }) => isPending)).toEqual([true, true])
    expect(bench.commit(1, { memberId: ids[0]!, generation: 1 }).isPending).toBe(true)
    bench.join()
    await settle()
    expect(syncs.map(({ kind }) => kind)).toEqual(['rebalanceInProgress', 'rebalanceInProgress'])
    bench.log.release()
    await settle()
    expect(await bench.state()).toBe('PreparingRebalance')
  })

  it('that cannot be stored is refused, and the group rebalances', async () => {
    for (const breakLog of ['full', 'failed'] as const) {
      const bench = new GroupBench()
      const joins = [bench.join(), bench.join()]
      await bench.clock.advance(0)
      const ids = joins.map(({ value }) => value!.memberId)
      if (breakLog === 'full') bench.log.full = true
      else bench.log.held = true
      const syncs = await bench.assign(ids, 1, ids[0]!)
      if (breakLog === 'failed') bench.log.fail()
      await settle()
      expect(syncs[0]!.kind).toBe('coordinatorUnavailable')
      expect(bench.heartbeat(ids[0]!, 1)).toBe('rebalanceInProgress')
    }
  })

  it('that nobody asks for costs the place in the group', async () => {
    const bench = new GroupBench()
    const joins = [bench.join(), bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    const waiting = bench.sync(ids[1]!, 1)
    for (let i = 0; i < 29; i++) {
      await bench.clock.advance(1000)
      for (const id of ids) expect(bench.heartbeat(id, 1)).toBe('ok')
    }
    expect(waiting.isPending).toBe(true)
    await bench.clock.advance(1000)
    expect(waiting.kind).toBe('rebalanceInProgress')
    expect(ids.map(id => bench.heartbeat(id, 1))).toEqual(['unknownMember', 'rebalanceInProgress', 'unknownMember'])
    expect(bench.metrics.count('groupsExpiredMembers', 'sync')).toBe(2)
  })

  it('is parked once per member: a newer one answers the older', async () => {
    const bench = new GroupBench()
    const joins = [bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    const older = bench.sync(ids[1]!, 1)
    const syncs = await bench.assign(ids, 1, ids[0]!)
    expect(older.kind).toBe('rebalanceInProgress')
    expect(syncs[1]!.value!.assignment).toEqual(Buffer.from('for-1'))
  })

  it('keeps assignments within the limit', async () => {
    const bench = new GroupBench({ maxMetadataBytes: 5000 })
    const joined = bench.join()
    await bench.clock.advance(0)
    const { memberId } = joined.value!
    const refused = bench.sync(memberId, 1, { assignments: [{ memberId, assignment: Buffer.alloc(5000) }] })
    await settle()
    expect(refused.kind).toBe('groupFull')
    expect(bench.metrics.count('groupsRefused', 'metadata')).toBe(1)
  })
})

describe('leave', () => {
  const leave = (bench: GroupBench, ...memberIds: string[]) =>
    bench.groups.leave({ groupId: 'g', members: memberIds.map(memberId => ({ memberId, groupInstanceId: null })) })

  it('tells each member how it went, and rebalances once', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(3)
    const pending = await bench.newMemberId()
    const errors = leave(bench, ids[0]!, 'ghost', pending, ids[1]!).map(({ error }) => error)
    expect(errors).toEqual([undefined, 'unknownMember', undefined, undefined])
    const joined = bench.join({ memberId: ids[2]! })
    await settle()
    expect(joined.value).toMatchObject({ generation: 2, leader: ids[2] })
  })

  it('of all makes the group empty; of a stranger does nothing', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    leave(bench, 'ghost')
    expect(await bench.state()).toBe('Stable')
    leave(bench, ...ids)
    expect(await bench.groups.describe('g')).toMatchObject({ state: 'Empty', generation: 2, protocolType: 'consumer' })
    expect(() => bench.groups.leave({ groupId: 'none', members: [] })).toThrow(
      expect.objectContaining({ kind: 'unknownMember' }),
    )
  })

  it('of the only one within the initial delay leaves the group PreparingRebalance until the delay is over, as Kafka', async () => {
    const bench = new GroupBench({ initialRebalanceDelayMs: 3000 })
    const memberId = await bench.newMemberId()
    bench.join({ memberId })
    await bench.clock.advance(1000)
    leave(bench, memberId)
    expect(await bench.state()).toBe('PreparingRebalance')
    expect((await bench.groups.describe('g'))?.members).toEqual([])
    await bench.clock.advance(2000)
    expect(await bench.state()).toBe('Empty')
  })

  it('answers what the member has parked, and lets the rest go on', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    const newcomer = bench.join()
    const joined = bench.join({ memberId: ids[0]! })
    leave(bench, ids[1]!)
    await settle()
    expect(joined.value!.members).toHaveLength(2)
    expect(newcomer.value!.generation).toBe(2)
    const waiting = bench.sync(ids[0]!, 2)
    leave(bench, ids[0]!)
    await settle()
    expect(waiting.kind).toBe('unknownMember')
  })

  it('of the last pending member removes a group that nothing is stored of', async () => {
    const bench = new GroupBench()
    leave(bench, await bench.newMemberId())
    expect(await bench.groups.list()).toEqual([])
  })
})

describe('cooperative rebalancing', () => {
  it('is two rounds of opaque metadata: revoke first, then give', async () => {
    const bench = new GroupBench()
    const owned = (...partitions: number[]) => [{ name: 'cooperative-sticky', metadata: Buffer.from(partitions) }]
    const first = bench.join({ protocols: owned() })
    await bench.clock.advance(0)
    const a = first.value!.memberId
    await bench.clock.advance(0)
    bench.sync(a, 1, { assignments: [{ memberId: a, assignment: Buffer.from([0, 1]) }] })
    await settle()

    // a second member comes: the leader keeps all in round one and only revokes
    const second = bench.join({ protocols: owned() })
    const roundOne = bench.join({ memberId: a, protocols: owned(0, 1) })
    await settle()
    const b = second.value!.memberId
    expect(roundOne.value!.members.map(({ metadata }) => [...metadata])).toEqual([[0, 1], []])
    const keep = [
      { memberId: a, assignment: Buffer.from([0]) },
      { memberId: b, assignment: Buffer.from([]) },
    ]
    const kept = [bench.sync(b, 2), bench.sync(a, 2, { assignments: keep })]
    await settle()
    expect(kept.map(({ value }) => [...value!.assignment])).toEqual([[], [0]])

    // whoever revoked joins again: round two gives the free partition away
    const roundTwo = bench.join({ memberId: a, protocols: owned(0) })
    expect(bench.heartbeat(b, 2)).toBe('rebalanceInProgress')
    bench.join({ memberId: b, protocols: owned() })
    await settle()
    expect(roundTwo.value!.generation).toBe(3)
    const give = [
      { memberId: a, assignment: Buffer.from([0]) },
      { memberId: b, assignment: Buffer.from([1]) },
    ]
    const given = [bench.sync(a, 3, { assignments: give }), bench.sync(b, 3)]
    await settle()
    expect(given.map(({ value }) => [...value!.assignment])).toEqual([[0], [1]])
  })
})

it('stop answers everything that is parked and leaves no timer', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(2)
  await bench.newMemberId()
  const joined = bench.join({ memberId: ids[0]! })
  bench.groups.stop()
  await settle()
  expect(joined.kind).toBe('coordinatorUnavailable')
  expect(bench.clock.pendingTimers).toBe(0)
  expect(bench.heartbeat(ids[1]!, 1)).toBe('coordinatorUnavailable')
  const refused = bench.commit(1)
  await settle()
  expect(refused.kind).toBe('coordinatorUnavailable')
})
