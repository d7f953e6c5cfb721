import { describe, expect, it } from 'vitest'
import { GroupBench, protocols } from '../../../support/group-bench.ts'
import { settle } from '../../../support/virtual-clock.ts'

describe('the first rebalance of a group', () => {
  it('waits for the initial delay and makes the first member leader', async () => {
    const bench = new GroupBench({ initialRebalanceDelayMs: 3000 })
    const first = bench.join()
    const second = bench.join()
    await bench.clock.advance(2999)
    expect(first.isPending).toBe(true)
    // the second member came in the first round and extends it
    await bench.clock.advance(2999)
    expect(first.isPending).toBe(true)
    await bench.clock.advance(2)
    expect(first.value).toMatchObject({ generation: 1, protocolType: 'consumer', protocolName: 'range' })
    expect(first.value!.leader).toBe(first.value!.memberId)
    expect(first.value!.members.map(({ memberId }) => memberId)).toEqual([
      first.value!.memberId,
      second.value!.memberId,
    ])
    expect(second.value).toMatchObject({ generation: 1, members: [], leader: first.value!.memberId })
  })

  it('is extended while members come, up to the rebalance timeout', async () => {
    const bench = new GroupBench({ initialRebalanceDelayMs: 3000 })
    const first = bench.join({ rebalanceTimeoutMs: 7000 })
    for (let elapsedMs = 0; elapsedMs < 6000; elapsedMs += 1000) {
      await bench.clock.advance(1000)
      bench.join({ rebalanceTimeoutMs: 7000 })
    }
    await bench.clock.advance(999)
    expect(first.isPending).toBe(true)
    await bench.clock.advance(1)
    expect(first.value!.members).toHaveLength(7)
  })

  it('does not wait with a delay of 0', async () => {
    const bench = new GroupBench()
    const first = bench.join()
    await bench.clock.advance(0)
    expect(first.value!.generation).toBe(1)
  })
})

describe('refused joins', () => {
  const cases: [string, Parameters<GroupBench['join']>[0], string][] = [
    ['an empty group id', { groupId: '' }, 'invalidGroupId'],
    ['a huge group id', { groupId: 'x'.repeat(1025) }, 'invalidGroupId'],
    ['a short session', { sessionTimeoutMs: 5999 }, 'invalidSessionTimeout'],
    ['a long session', { sessionTimeoutMs: 1_800_001 }, 'invalidSessionTimeout'],
    ['a member of an unknown group', { memberId: 'ghost' }, 'unknownMember'],
    ['no protocols', { protocols: [] }, 'inconsistentGroupProtocol'],
    ['no protocol type', { protocolType: '' }, 'inconsistentGroupProtocol'],
  ]
  it.each(cases)('%s', async (_, request, kind) => {
    const bench = new GroupBench()
    const joined = bench.join(request)
    await settle()
    expect(joined.kind).toBe(kind)
    expect(await bench.groups.list()).toEqual([])
    expect(bench.metrics.text()).toContain('group_members 0')
  })

  it('another protocol type, no common protocol, an unknown member', async () => {
    const bench = new GroupBench()
    await bench.stable(1)
    const refused = [
      bench.join({ protocolType: 'connect' }),
      bench.join({ protocols: protocols('sticky') }),
      bench.join({ memberId: 'ghost' }),
      bench.join({ memberId: 'ghost', groupInstanceId: 'i' }),
    ]
    await settle()
    expect(refused.map(({ kind }) => kind)).toEqual([
      'inconsistentGroupProtocol',
      'inconsistentGroupProtocol',
      'unknownMember',
      'unknownMember',
    ])
    expect(await bench.state()).toBe('Stable')
  })
})

describe('protocol choice', () => {
  it('takes what most members prefer among what all support', async () => {
    const bench = new GroupBench()
    const joins = [
      bench.join({ protocols: protocols('mine', 'range', 'roundrobin') }),
      bench.join({ protocols: protocols('roundrobin', 'range') }),
      bench.join({ protocols: protocols('roundrobin', 'other', 'range') }),
    ]
    await bench.clock.advance(0)
    expect(joins.map(({ value }) => value?.protocolName)).toEqual(['roundrobin', 'roundrobin', 'roundrobin'])
    expect(joins[0]!.value!.members.map(({ metadata }) => `${metadata}`)).toEqual(Array(3).fill('meta-roundrobin'))
  })

  it('is free again when the group is empty', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(1)
    bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
    const joined = bench.join({ protocolType: 'connect', protocols: protocols('compatible') })
    await bench.clock.advance(0)
    expect(joined.value).toMatchObject({ generation: 3, protocolType: 'connect', protocolName: 'compatible' })
  })
})

describe('a member that needs an id (KIP-394)', () => {
  it('gets one, and joins with it', async () => {
    const bench = new GroupBench()
    const memberId = await bench.newMemberId()
    expect(memberId).toMatch(/^app-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    expect(await bench.state()).toBe('Empty')
    const joined = bench.join({ memberId, needsKnownMemberId: true })
    await bench.clock.advance(0)
    expect(joined.value).toMatchObject({ memberId, generation: 1 })
  })

  it('keeps the id for the session timeout, then forgets it and the group', async () => {
    const bench = new GroupBench()
    const memberId = await bench.newMemberId()
    await bench.clock.advance(9999)
    expect(await bench.state()).toBe('Empty')
    await bench.clock.advance(1)
    expect(await bench.state()).toBe('none')
    const late = bench.join({ memberId, needsKnownMemberId: true })
    await settle()
    expect(late.kind).toBe('unknownMember')
    expect(bench.metrics.count('groupsExpiredMembers', 'pending')).toBe(1)
  })

  it('holds up a rebalance until it joins or its time is over', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(1)
    await bench.newMemberId()
    const rejoined = bench.join({ memberId: ids[0]! })
    await bench.clock.advance(9999)
    expect(rejoined.isPending).toBe(true)
    await bench.clock.advance(1)
    expect(rejoined.value!.generation).toBe(2)
  })

  it('cannot come as a static member', async () => {
    const bench = new GroupBench()
    const memberId = await bench.newMemberId()
    const joined = bench.join({ memberId, groupInstanceId: 'i' })
    await settle()
    expect(joined.kind).toBe('invalidRequest')
  })
})

describe('joining again', () => {
  it('of an unchanged follower in a Stable group returns the present generation', async () => {
    const bench = new GroupBench()
    const { ids, generation } = await bench.stable(2)
    const again = bench.join({ memberId: ids[1]! })
    await settle()
    expect(again.value).toMatchObject({ generation, leader: ids[0], members: [] })
    expect(await bench.state()).toBe('Stable')
  })

  it('of the leader, or with other metadata, starts a rebalance', async () => {
    for (const [who, changed] of [
      [0, 'range'],
      [1, 'range|sticky'],
    ] as const) {
      const bench = new GroupBench()
      const { ids } = await bench.stable(2)
      const again = bench.join({ memberId: ids[who]!, protocols: protocols(...changed.split('|')) })
      await settle()
      expect(again.isPending).toBe(true)
      expect(await bench.state()).toBe('PreparingRebalance')
      expect(bench.heartbeat(ids[1 - who]!, 1)).toBe('rebalanceInProgress')
      bench.join({ memberId: ids[1 - who]! })
      await settle()
      expect(again.value).toMatchObject({ generation: 2, leader: ids[0] })
    }
  })

  it('in CompletingRebalance repeats the answer when nothing changed, else rebalances', async () => {
    const bench = new GroupBench()
    const joins = [bench.join(), bench.join()]
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    const [leader, follower] = [bench.join({ memberId: ids[0]! }), bench.join({ memberId: ids[1]! })]
    await settle()
    expect(leader.value).toEqual(joins[0]!.value)
    expect(follower.value).toEqual(joins[1]!.value)
    const waiting = bench.sync(ids[1]!, 1)
    bench.join({ memberId: ids[0]!, protocols: protocols('range', 'sticky') })
    await settle()
    expect(waiting.kind).toBe('rebalanceInProgress')
    expect(await bench.state()).toBe('PreparingRebalance')
  })

  it('while a join is parked answers the older one', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2)
    const older = bench.join({ memberId: ids[0]! })
    const newer = bench.join({ memberId: ids[0]! })
    await settle()
    expect(older.kind).toBe('rebalanceInProgress')
    expect(newer.isPending).toBe(true)
    bench.join({ memberId: ids[1]! })
    await settle()
    expect(newer.value!.generation).toBe(2)
  })

  it('uses the session timeout where there is no rebalance timeout (JoinGroup v0)', async () => {
    const bench = new GroupBench()
    const first = bench.join({ rebalanceTimeoutMs: -1, sessionTimeoutMs: 20_000 })
    await bench.clock.advance(0)
    const { memberId } = first.value!
    await bench.assign([memberId], 1, memberId)
    const second = bench.join({ rebalanceTimeoutMs: -1, sessionTimeoutMs: 6000 })
    for (let i = 0; i < 19; i++) {
      await bench.clock.advance(1000)
      bench.heartbeat(memberId, 1)
    }
    expect(second.isPending).toBe(true)
    await bench.clock.advance(1000)
    expect(second.value).toMatchObject({ generation: 2, leader: second.value!.memberId })
  })
})

describe('limits', () => {
  it('group.max.size refuses the next member and lets old ones join again', async () => {
    const bench = new GroupBench({ maxSize: 2 })
    const { ids } = await bench.stable(2)
    const third = bench.join()
    await settle()
    expect(third.kind).toBe('groupFull')
    expect(bench.metrics.count('groupsRefused', 'members')).toBe(1)
    const again = ids.map(memberId => bench.join({ memberId }))
    const late = bench.join()
    await settle()
    expect(late.kind).toBe('groupFull')
    expect(again[0]!.value!.generation).toBe(2)
  })

  it('ids that were given out are limited too', async () => {
    const bench = new GroupBench({ maxSize: 3, maxMembers: 5 })
    for (let i = 0; i < 3; i++) await bench.newMemberId()
    const fourth = bench.join({ needsKnownMemberId: true })
    await settle()
    expect(fourth.kind).toBe('groupFull')
    for (let i = 0; i < 2; i++) await bench.newMemberId('other')
    const sixth = bench.join({ groupId: 'third', needsKnownMemberId: true })
    await settle()
    expect(sixth.kind).toBe('groupFull')
    expect((await bench.groups.list()).map(({ groupId }) => groupId)).toEqual(['g', 'other'])
  })

  it('groups and bytes of metadata are limited, and freed by those who leave', async () => {
    const bench = new GroupBench({ maxGroups: 2, maxMetadataBytes: 10_000 })
    const large = [{ name: 'range', metadata: Buffer.alloc(6000) }]
    const first = bench.join({ groupId: 'a', protocols: large })
    const tooMuch = bench.join({ groupId: 'a', protocols: large })
    const second = bench.join({ groupId: 'b' })
    const tooMany = bench.join({ groupId: 'c' })
    await bench.clock.advance(0)
    expect(first.value).toBeDefined()
    expect(second.value).toBeDefined()
    expect([tooMuch.kind, tooMany.kind]).toEqual(['groupFull', 'groupFull'])
    bench.groups.leave({ groupId: 'a', members: [{ memberId: first.value!.memberId, groupInstanceId: null }] })
    const fits = bench.join({ groupId: 'a', protocols: large })
    await bench.clock.advance(0)
    expect(fits.value).toBeDefined()
  })
})
