import { describe, expect, it } from 'vitest'
import type { OffsetCommit } from '../../../../src/broker/groups/groups.ts'
import { GroupBench, subscription, watch } from '../../../support/group-bench.ts'
import { settle } from '../../../support/virtual-clock.ts'

const at = (topic: string, partition: number, offset: number, metadata: string | null = ''): OffsetCommit => ({
  topic,
  partition,
  offset,
  leaderEpoch: -1,
  metadata,
})

const simple = { groupId: 'g', memberId: '', groupInstanceId: null, generation: -1 }

describe('commit', () => {
  it('stores offset, leader epoch and metadata; null and "" stay what they are', async () => {
    const { groups } = new GroupBench()
    const offsets = [
      { topic: 't', partition: 0, offset: 2 ** 53 - 1, leaderEpoch: 7, metadata: null },
      at('t', 1, 0, ''),
      at('u', 2_000_000_000, 5, 'größe'),
    ]
    expect(await groups.commit({ ...simple, offsets })).toEqual([undefined, undefined, undefined])
    const [all] = await groups.fetchOffsets([{ groupId: 'g', topics: null }])
    expect(all!.offsets).toEqual(offsets)
    expect([...groups.committedOffsets('g')]).toEqual(offsets)
    const [some] = await groups.fetchOffsets([{ groupId: 'g', topics: [{ topic: 't', partitions: [1, 9, 0] }] }])
    expect(some!.offsets).toEqual([
      offsets[1],
      { topic: 't', partition: 9, offset: -1, leaderEpoch: -1, metadata: '' },
      offsets[0],
    ])
  })

  it('resolves when durable, and what a fetch shows is durable too', async () => {
    const bench = new GroupBench()
    bench.log.held = true
    const committed = bench.commit(5)
    const fetched = watch(bench.committed())
    const listed = watch(bench.groups.list())
    await settle()
    expect([committed.isPending, fetched.isPending, listed.isPending]).toEqual([true, true, true])
    bench.log.release()
    await settle()
    expect(committed.value).toEqual([undefined])
    expect(fetched.value).toBe(5)
    expect(listed.value).toEqual([{ groupId: 'g', protocolType: '', state: 'Empty' }])
    expect(bench.metrics.count('groupsCommits')).toBe(1)
  })

  it('of many members waits for one sync of the device', async () => {
    const bench = new GroupBench()
    bench.log.syncMs = 5
    bench.commit(1, { groupId: 'first' })
    const commits = Array.from({ length: 200 }, (_, i) => bench.commit(i, { groupId: `g${i % 20}` }))
    await bench.clock.advance(10)
    expect(commits.every(({ value }) => value !== undefined)).toBe(true)
    expect(bench.log.syncs).toBe(2)
  })

  it('refuses long metadata by partition, not the others', async () => {
    const { groups } = new GroupBench()
    const offsets = [at('t', 0, 1, 'é'.repeat(2049)), at('t', 1, 1, 'x'.repeat(4096))]
    expect(await groups.commit({ ...simple, offsets })).toEqual(['offsetMetadataTooLarge', undefined])
    expect([...groups.committedOffsets('g')].map(({ partition }) => partition)).toEqual([1])
  })

  it('leaves no group behind when nothing was stored', async () => {
    const bench = new GroupBench({ maxOffsetsBytes: 200 })
    await bench.groups.commit({ ...simple, offsets: [at('t', 0, 1, 'x'.repeat(5000))] })
    expect(await bench.groups.list()).toEqual([])
    const refused = watch(bench.groups.commit({ ...simple, offsets: [at('t', 0, 1), at('t', 1, 1)] }))
    await settle()
    expect(refused.kind).toBe('policyViolation')
    expect(bench.metrics.count('groupsRefused', 'offsets')).toBe(1)
    expect(await bench.groups.list()).toEqual([])
    for (const offset of [1, 2, 3]) await bench.groups.commit({ ...simple, offsets: [at('t', 0, offset)] })
    expect(bench.log.writes).toBe(3)
  })

  it('fails with a kind that clients retry when the device is full', async () => {
    const bench = new GroupBench()
    bench.log.full = true
    const refused = bench.commit(1)
    await settle()
    expect(refused.kind).toBe('coordinatorUnavailable')
    expect(await bench.groups.list()).toEqual([])
  })

  it('is checked against member, generation and state', async () => {
    const bench = new GroupBench()
    const outcome = async (memberId: string, generation: number, groupInstanceId: string | null = null) => {
      const committed = watch(
        bench.groups.commit({ groupId: 'g', memberId, generation, groupInstanceId, offsets: [at('t', 0, 1)] }),
      )
      await settle()
      return committed.kind ?? 'ok'
    }
    expect(await outcome('m', 0)).toBe('groupNotFound')
    expect(await outcome('', -1)).toBe('ok')
    expect(await outcome('left-over', -1)).toBe('ok')
    const joins = [bench.join({ groupInstanceId: 'a' }), bench.join()]
    await bench.clock.advance(0)
    const [a, b] = joins.map(({ value }) => value!.memberId) as [string, string]
    expect(await outcome(a, 1, 'a')).toBe('rebalanceInProgress')
    await bench.assign([a, b], 1, a)
    expect(await outcome('', -1)).toBe('unknownMember')
    expect(await outcome(a, 1, 'a')).toBe('ok')
    expect(await outcome(b, 1, 'a')).toBe('fencedInstance')
    expect(await outcome(b, 0)).toBe('illegalGeneration')
    expect(await outcome(b, -1)).toBe('illegalGeneration')
    expect(await outcome('ghost', 1)).toBe('unknownMember')
    bench.join()
    // the generation is over when all have joined, so its members may still commit
    expect(await outcome(b, 1)).toBe('ok')
  })

  it('of a member keeps its session', async () => {
    const bench = new GroupBench()
    const { ids, generation } = await bench.stable(1)
    for (let i = 0; i < 5; i++) {
      await bench.clock.advance(8000)
      bench.commit(i, { memberId: ids[0]!, generation })
    }
    expect(await bench.state()).toBe('Stable')
    expect(await bench.committed()).toBe(4)
  })
})

describe('fetch', () => {
  it('serves several groups, unknown ones too', async () => {
    const bench = new GroupBench()
    bench.commit(1, { groupId: 'a' })
    bench.commit(2, { groupId: 'b' })
    const results = await bench.groups.fetchOffsets([
      { groupId: 'b', topics: null },
      { groupId: 'none', topics: null },
      { groupId: 'none', topics: [{ topic: 't', partitions: [0] }] },
      { groupId: 'a', topics: [] },
    ])
    expect(results.map(({ groupId, offsets }) => [groupId, offsets.map(({ offset }) => offset)])).toEqual([
      ['b', [2]],
      ['none', []],
      ['none', [-1]],
      ['a', []],
    ])
  })

  it('fails when the device has failed with something shown but not stored', async () => {
    const bench = new GroupBench()
    bench.log.held = true
    bench.commit(1)
    bench.log.fail()
    const fetched = watch(bench.committed())
    await settle()
    expect(fetched.kind).toBe('coordinatorUnavailable')
  })
})

describe('deleting', () => {
  it('offsets: not of subscribed topics, not of groups with other members', async () => {
    const bench = new GroupBench()
    const { groups } = bench
    const remove = (...topics: string[]) =>
      groups.deleteOffsets({ groupId: 'g', offsets: topics.map(topic => ({ topic, partition: 0 })) })
    await expect(remove('t')).rejects.toMatchObject({ kind: 'groupNotFound' })
    await groups.commit({ ...simple, offsets: [at('t', 0, 1), at('u', 0, 1), at('v', 0, 1)] })
    expect(await remove('t', 'never')).toEqual([undefined, undefined])
    const joined = bench.join({ protocols: [{ name: 'range', metadata: subscription('u', 'w') }] })
    await bench.clock.advance(0)
    const { memberId } = joined.value!
    await bench.assign([memberId], 1, memberId)
    expect(await remove('u', 'v')).toEqual(['groupSubscribedToTopic', undefined])
    expect([...groups.committedOffsets('g')].map(({ topic }) => topic)).toEqual(['u'])

    const opaque = new GroupBench()
    await opaque.commit(1).promise
    await opaque.stable(1)
    const unknown = await opaque.groups.deleteOffsets({ groupId: 'g', offsets: [{ topic: 't', partition: 0 }] })
    expect(unknown).toEqual(['groupSubscribedToTopic'])

    const connect = new GroupBench()
    connect.join({ protocolType: 'connect' })
    const refused = connect.groups.deleteOffsets({ groupId: 'g', offsets: [] })
    await expect(refused).rejects.toMatchObject({ kind: 'groupNotEmpty' })
  })

  it('groups: with all their records, unless they have members', async () => {
    const bench = new GroupBench()
    await bench.commit(1, { groupId: 'simple' }).promise
    const { ids } = await bench.stable(1)
    await bench.commit(1, { memberId: ids[0]!, generation: 1 }).promise
    expect(await bench.groups.delete(['simple', 'g', 'none'])).toEqual([undefined, 'groupNotEmpty', 'groupNotFound'])
    bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
    const pending = await bench.newMemberId()
    expect(await bench.groups.delete(['g'])).toEqual([undefined])
    expect(await bench.groups.list()).toEqual([])
    expect([...bench.view.entries()]).toEqual([])
    const late = bench.join({ memberId: pending })
    await settle()
    expect(late.kind).toBe('unknownMember')
    bench.restart()
    expect(await bench.groups.list()).toEqual([])
  })

  it('a group stays when its removal cannot be stored', async () => {
    const bench = new GroupBench()
    await bench.commit(1).promise
    bench.log.full = true
    expect(await bench.groups.delete(['g'])).toEqual(['coordinatorUnavailable'])
    expect(await bench.committed()).toBe(1)
  })

  it('a topic gives changes to write along with its own removal', async () => {
    const bench = new GroupBench()
    for (const groupId of ['a', 'b']) {
      await bench.groups.commit({ ...simple, groupId, offsets: [at('t', 0, 1), at('t', 1, 1), at('u', 0, 1)] })
    }
    const changes = bench.groups.changesForDeletedTopics(['t', 'x'])
    expect(changes).toHaveLength(4)
    bench.log.write(changes)
    for (const groupId of ['a', 'b']) {
      expect([...bench.groups.committedOffsets(groupId)].map(({ topic }) => topic)).toEqual(['u'])
    }
  })
})
