import { describe, expect, it } from 'vitest'
import { GroupBench, protocols } from '../../../support/group-bench.ts'
import { settle } from '../../../support/virtual-clock.ts'

describe('a static member that comes back without its id', () => {
  it('takes over id, lead and assignment of a Stable group, unnoticed by the others', async () => {
    const bench = new GroupBench()
    const { ids, generation } = await bench.stable(2, ['a', 'b'])
    const back = bench.join({ groupInstanceId: 'b' })
    await settle()
    const newId = back.value!.memberId
    expect(newId).toMatch(/^b-/)
    expect(newId).not.toBe(ids[1])
    expect(back.value).toMatchObject({ generation, leader: ids[0], skipAssignment: false, members: [] })
    expect(bench.heartbeat(ids[0]!, generation, 'a')).toBe('ok')
    expect(bench.heartbeat(ids[1]!, generation, 'b')).toBe('fencedInstance')
    expect(bench.heartbeat(ids[1]!, generation)).toBe('unknownMember')
    const synced = bench.sync(newId, generation, { groupInstanceId: 'b' })
    await settle()
    expect(synced.value!.assignment).toEqual(Buffer.from('for-1'))
    expect(await bench.state()).toBe('Stable')
  })

  it('as leader gets the members and skipAssignment, or before v9 the old leader id', async () => {
    for (const knowsSkipAssignment of [true, false]) {
      const bench = new GroupBench()
      const { ids } = await bench.stable(2, ['a', 'b'])
      const back = bench.join({ groupInstanceId: 'a', knowsSkipAssignment })
      await settle()
      const { memberId, leader, skipAssignment, members } = back.value!
      expect(skipAssignment).toBe(knowsSkipAssignment)
      expect(leader).toBe(knowsSkipAssignment ? memberId : ids[0])
      expect(members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(knowsSkipAssignment ? ['b', 'a'] : [])
      expect((await bench.groups.describe('g'))!.leader).toBe(memberId)
    }
  })

  it('is answered when the new id is durable, and known after a restart', async () => {
    const bench = new GroupBench()
    const { ids, generation } = await bench.stable(1, ['a'])
    bench.log.held = true
    const back = bench.join({ groupInstanceId: 'a' })
    await settle()
    expect(back.isPending).toBe(true)
    bench.log.release()
    await settle()
    bench.restart()
    expect(bench.heartbeat(back.value!.memberId, generation, 'a')).toBe('ok')
    expect(bench.heartbeat(ids[0]!, generation, 'a')).toBe('fencedInstance')
  })

  it('is refused when the new id cannot be stored, and may try again', async () => {
    const bench = new GroupBench()
    const { generation } = await bench.stable(1, ['a'])
    bench.log.full = true
    const refused = bench.join({ groupInstanceId: 'a' })
    await settle()
    expect(refused.kind).toBe('coordinatorUnavailable')
    bench.log.full = false
    const back = bench.join({ groupInstanceId: 'a' })
    await settle()
    expect(bench.heartbeat(back.value!.memberId, generation, 'a')).toBe('ok')
  })

  it('rebalances when the protocol would change, or the group is about to assign', async () => {
    const bench = new GroupBench()
    const joins = ['a', 'b'].map(groupInstanceId =>
      bench.join({ groupInstanceId, protocols: protocols('range', 'sticky') }),
    )
    await bench.clock.advance(0)
    const ids = joins.map(({ value }) => value!.memberId)
    const waiting = bench.sync(ids[1]!, 1, { groupInstanceId: 'b' })
    bench.join({ groupInstanceId: 'b', protocols: protocols('range', 'sticky') })
    await settle()
    expect(waiting.kind).toBe('fencedInstance')
    expect(await bench.state()).toBe('PreparingRebalance')

    const other = new GroupBench()
    await other.stable(1, ['a'])
    const changed = other.join({ groupInstanceId: 'a', protocols: protocols('sticky') })
    await settle()
    expect(changed.kind).toBe('inconsistentGroupProtocol')
    const wider = other.join({ groupInstanceId: 'a', protocols: protocols('sticky', 'range') })
    await settle()
    expect(wider.value).toMatchObject({ generation: 2, protocolName: 'sticky' })
  })

  it('answers the parked join of its former self with FENCED_INSTANCE_ID', async () => {
    const bench = new GroupBench({ initialRebalanceDelayMs: 1000 })
    const former = bench.join({ groupInstanceId: 'a' })
    const now = bench.join({ groupInstanceId: 'a' })
    await bench.clock.advance(5000)
    expect(former.kind).toBe('fencedInstance')
    expect(now.value!.members).toHaveLength(1)
  })
})

describe('a static member that is away', () => {
  it('keeps its place through a rebalance, until its session ends', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2, ['a', 'b'])
    // short rebalance timeout for this round, so that the session outlives it
    for (const [i, groupInstanceId] of ['a', 'b'].entries()) {
      bench.join({ memberId: ids[i]!, groupInstanceId, rebalanceTimeoutMs: 2000, sessionTimeoutMs: 20_000 })
    }
    await settle()
    await bench.assign(ids, 2, ids[0]!)
    const joined = bench.join({ memberId: ids[0]!, groupInstanceId: 'a', rebalanceTimeoutMs: 2000 })
    await bench.clock.advance(2000)
    expect(joined.value!.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['a', 'b'])
    bench.sync(ids[0]!, 3)
    await bench.clock.advance(1000)
    expect(bench.heartbeat(ids[1]!, 3, 'b')).toBe('ok')
  })

  it('does not end a rebalance that nobody joins', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(2, ['a', 'b'])
    bench.groups.leave({ groupId: 'g', members: [{ memberId: '', groupInstanceId: 'a' }] })
    await bench.clock.advance(9000)
    expect(await bench.state()).toBe('PreparingRebalance')
    const joined = bench.join({ memberId: ids[1]!, groupInstanceId: 'b' })
    await settle()
    expect(joined.value!.generation).toBe(2)
  })
})

describe('leaving by instance id', () => {
  it('needs no member id; a wrong one is fenced', async () => {
    const bench = new GroupBench()
    const { ids } = await bench.stable(3, ['a', 'b', null])
    const result = bench.groups.leave({
      groupId: 'g',
      members: [
        { memberId: '', groupInstanceId: 'a' },
        { memberId: ids[2]!, groupInstanceId: 'b' },
        { memberId: '', groupInstanceId: 'c' },
        { memberId: '', groupInstanceId: null },
        { memberId: ids[1]!, groupInstanceId: 'b' },
      ],
    })
    expect(result.map(({ error }) => error)).toEqual([
      undefined,
      'fencedInstance',
      'unknownMember',
      'unknownMember',
      undefined,
    ])
    const left = await bench.groups.describe('g')
    expect(left!.members.map(({ memberId }) => memberId)).toEqual([ids[2]])
  })
})
